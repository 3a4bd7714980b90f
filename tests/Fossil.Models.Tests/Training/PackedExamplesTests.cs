using Fossil.Models.Tests.Decoder;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Training;

/// <summary>Examples that share a sequence are trained on as if each were alone.</summary>
public sealed class PackedExamplesTests
{
    private static readonly TokenExample[] Examples = [.. Enumerable.Range(0, 23).Select(i => new TokenExample(
        [.. Enumerable.Range(0, 2 + (i * 29 % 61)).Select(j => 3 + (((i * 31) + (j * 17)) % 90))], [.. Enumerable.Range(0, 2 + (i * 29 % 61)).Select(j => j % 3 != 0)]))];

    [Theory]
    [InlineData(32, null, false)] // our kernels, where the processor has them
    [InlineData(32, null, true)]
    [InlineData(24, null, false)] // heads that they do not take: libtorch's attention
    [InlineData(32, 7, false)]    // a sliding window
    [InlineData(24, 7, true)]
    [InlineData(32, 64, false)]   // a window that hides nothing
    public void Losses_and_gradients_are_those_of_the_examples_alone(int headDim, int? window, bool checkpointing)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create(TinyModels.Config with { HeadDim = headDim, SlidingWindow = window });
        using var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 16 });

        AssertAlone(model, adapted, checkpointing);
    }

    /// <summary>Loss and gradients of packed examples are those of the examples alone.</summary>
    internal static void AssertAlone(CausalLM model, AdaptedModel adapted, bool checkpointing)
    {
        using (no_grad()) foreach (var (_, parameter) in adapted.TrainableParameters()) nn.init.normal_(parameter, 0, 0.05);
        model.train();
        foreach (var part in model.modules().OfType<ISupportsGradientCheckpointing>()) part.GradientCheckpointing = checkpointing;
        var alone = TokenData.FromExamples(Examples, 150, 0, "alone");
        var packed = TokenData.FromExamples(Examples, 150, 0, "packed", pack: true);
        Assert.True(packed.Count < 8);

        var expected = Run(alone, batchSize: 1);
        var actual = Run(packed, batchSize: 3);
        Assert.Equal(expected.Loss, actual.Loss, 2e-6);
        foreach (var (name, gradient) in actual.Gradients)
        {
            var truth = expected.Gradients[name];
            Assert.True((gradient - truth).abs().max().item<float>() <= 2e-5f * truth.abs().max().item<float>(), name);
        }

        // The mean over all examples of the loss, and its gradients.
        (double Loss, Dictionary<string, Tensor> Gradients) Run(TokenData data, int batchSize)
        {
            var sum = 0.0;
            foreach (var indices in Enumerable.Range(0, data.Count).Chunk(batchSize))
            {
                using var batch = data.GetBatch(indices);
                var loss = model.loss(batch) * batch.LossItems / alone.Report.LossTokens;
                sum += loss.item<float>();
                loss.backward();
            }

            return (sum, adapted.TrainableParameters().ToDictionary(named => named.Name, named =>
            {
                var gradient = named.Parameter.grad!;
                named.Parameter.grad = null;
                return gradient;
            }));
        }
    }

    [Fact]
    public void A_table_of_another_shape_is_refused()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create();
        using var batch = new TokenBatch(TinyModels.Tokens(2, 5), tensor([0L]), tensor([1L]), 10) { ExampleStarts = zeros([2, 4], int64) };
        Assert.Contains("ExampleStarts has shape (2, 4)", Assert.Throws<ArgumentException>(() => model.loss(batch)).Message, StringComparison.Ordinal);
    }
}
