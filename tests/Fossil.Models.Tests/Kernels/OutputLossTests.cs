using Fossil.Models.Kernels;
using Fossil.Training;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Kernels;

/// <summary>The loss through an output layer in blocks beside that of all logits at once, in float64.</summary>
public sealed class OutputLossTests
{
    /// <summary>Rows and vocabulary: several blocks of both, and a vocabulary that no kernel takes.</summary>
    private static readonly (long Rows, long Vocabulary)[] Sizes = [(1, 16), (3, 4096), (70, 9_008), (1_100, 5_008), (130, 49_152), (33, 1_001)];

    public static TheoryData<ScalarType, double> Dtypes => new() { { ScalarType.BFloat16, 1.5e-2 }, { ScalarType.Float32, 1e-5 }, { ScalarType.Float64, 1e-11 } };

    [Theory, MemberData(nameof(Dtypes))]
    public void Value_and_gradient_are_those_of_all_logits_at_once(ScalarType dtype, double tolerance)
    {
        foreach (var (rows, vocabulary) in Sizes)
        {
            using var scope = NewDisposeScope();
            random.manual_seed(7);
            // Later words are likelier, so that a larger logit comes in each block.
            var weight = ((randn(vocabulary, 24) + (linspace(0, 1, vocabulary) * 3).unsqueeze(1)) * 0.5).to(dtype);
            var hidden = (randn(rows, 24) + 0.5).to(dtype);
            var targets = Targets(rows, vocabulary);
            var (value, gradient) = Differentiate(hidden, x => OutputLossCall.Run(x, h => nn.functional.linear(h, weight), new FloatWeight(weight), targets, vocabulary));
            var (exact, exactGradient) = Differentiate(hidden.to(float64), x => nn.functional.cross_entropy(nn.functional.linear(x, weight.to(float64)), targets, ignore_index: CrossEntropyCall.Ignored));
            var what = $"{rows} rows of {vocabulary}";
            Assert.Equal(dtype == ScalarType.Float64 ? dtype : ScalarType.Float32, value.dtype);
            Assert.Equal(dtype, gradient.dtype);
            Assert.True(Distance(value, exact) < tolerance, $"{what}: value {Distance(value, exact)}");
            Assert.True(Distance(gradient, exactGradient) < tolerance, $"{what}: gradient {Distance(gradient, exactGradient)}");
            if (rows > 2) Assert.Equal(0, gradient[1].abs().sum().to(float64).item<double>());
        }
    }

    [Theory, InlineData(ScalarType.BFloat16), InlineData(ScalarType.Float32)]
    public void Without_a_gradient_the_value_is_the_same(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(7);
        var (weight, hidden, targets) = (randn(5_008, 24).to(dtype), randn(70, 24).to(dtype), Targets(70, 5_008));
        Tensor Loss(Tensor x) => OutputLossCall.Run(x, h => nn.functional.linear(h, weight), new FloatWeight(weight), targets, 5_008);
        Assert.Equal(Differentiate(hidden, Loss).Value.item<float>(), Loss(hidden).item<float>());
    }

    [Fact]
    public void The_gradient_can_be_taken_twice_and_of_a_part_of_the_loss()
    {
        using var scope = NewDisposeScope();
        var (weight, hidden, targets) = (randn(48, 24), randn(6, 24).requires_grad_(), Targets(6, 48));
        var loss = OutputLossCall.Run(hidden, h => nn.functional.linear(h, weight), new FloatWeight(weight), targets, 48);
        var whole = autograd.grad([loss], [hidden], retain_graph: true)[0];
        var part = autograd.grad([loss / 3], [hidden])[0];
        Assert.True(part.allclose(whole / 3));
    }

    [Fact]
    public void No_block_has_all_logits()
    {
        using var scope = NewDisposeScope();
        const long rows = 300, vocabulary = 49_152;
        var (weight, hidden, targets) = (randn(vocabulary, 8), randn(rows, 8).requires_grad_(), Targets(rows, vocabulary));
        var largest = 0L;
        OutputLossCall.Run(hidden, Logits, new FloatWeight(weight), targets, vocabulary).backward();
        Assert.InRange(largest, 1, rows / 3);

        Tensor Logits(Tensor block)
        {
            largest = Math.Max(largest, block.shape[0]);
            return nn.functional.linear(block, weight);
        }
    }

    [Fact]
    public void A_loss_over_nothing_and_a_label_outside_of_the_vocabulary_are_refused()
    {
        using var scope = NewDisposeScope();
        var (weight, hidden) = (randn(16, 8), randn(2, 8));
        Tensor Loss(params long[] targets) => OutputLossCall.Run(hidden, h => nn.functional.linear(h, weight), new FloatWeight(weight), tensor(targets), 16);
        Assert.Throws<NoLossItemsException>(() => Loss(-100, -100));
        Assert.Contains("below 16", Assert.Throws<ArgumentOutOfRangeException>(() => Loss(1, 16)).Message, StringComparison.Ordinal);
    }

    /// <summary>An output layer that is trained, fully or by an adapter, gets its gradients too.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void An_output_layer_that_is_trained_gets_its_gradient(bool byAdapter)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        using var model = new LlamaForCausalLM(Decoder.TinyModels.Config with { TieWordEmbeddings = false });
        using var adapted = byAdapter ? model.AttachAdapters(new FossilConfig { ShardSize = 16, TargetModules = ["lm_head"] }) : null;
        var ids = randint(0, model.Config.VocabSize, [2, 9]);
        model.loss(ids, ids).backward();
        var trained = adapted?.TrainableParameters().Select(named => named.Parameter) ?? [model.get_parameter("lm_head.weight")!];
        Assert.All(trained, parameter => Assert.True(parameter.grad!.abs().sum().item<float>() > 0));
    }

    private static Tensor Targets(long rows, long vocabulary)
    {
        var targets = randint(0, vocabulary, [rows]);
        if (rows > 2) targets[1] = tensor(CrossEntropyCall.Ignored);
        return targets;
    }

    private static (Tensor Value, Tensor Gradient) Differentiate(Tensor hidden, Func<Tensor, Tensor> loss)
    {
        var leaf = hidden.detach().clone().requires_grad_();
        var value = loss(leaf);
        value.backward();
        return (value.detach(), leaf.grad!);
    }

    private static double Distance(Tensor value, Tensor exact) => ((value.to(float64) - exact).norm() / exact.norm()).item<double>();
}
