using CsCheck;
using Fossil.TestData;
using Fossil.Tests.Adapters;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

public class LoraTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_new_adapter_changes_nothing(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(32, 16);
        var x = randn(3, 32);
        var before = model.forward(x);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, UseDora = useDora });
        Assert.True(Distance.Relative(model.forward(x), before) < 1e-6);
    }

    [Theory]
    [InlineData("default")]
    [InlineData("gaussian")]
    [InlineData("random")]
    public void Parameters_start_with_the_distributions_of_PEFT(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        const int Width = 512, Rank = 64;
        using var model = new OneLinear(Width, 256);
        var initialization = name switch { "gaussian" => LoraInitialization.Gaussian, "random" => LoraInitialization.Random, _ => LoraInitialization.Default };
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = Rank, InitLoraWeights = initialization });
        var (a, b) = (Find(adapted, "lora_A"), Find(adapted, "lora_B"));
        if (name == "gaussian") CheckNormal(a, 1.0 / Rank);
        else CheckUniform(a, 1 / Math.Sqrt(Width));
        if (name == "random") CheckUniform(b, 1 / Math.Sqrt(Rank));
        else Assert.Equal(0, b.abs().max().item<float>());
    }

    [Fact]
    public void Patterns_choose_rank_and_alpha_and_rank_stabilisation_the_scale()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(32, 16);
        var config = new LoraConfig
        {
            Rank = 4,
            Alpha = 8,
            UseRslora = true,
            RankPattern = new Dictionary<string, int> { ["other"] = 2, ["pr.*"] = 9 },
            AlphaPattern = new Dictionary<string, double> { ["proj"] = 6 },
        };
        using var adapted = model.AttachAdapters(config);
        using var noGrad = no_grad();
        var (a, b) = (Find(adapted, "lora_A"), Find(adapted, "lora_B"));
        Assert.Equal([9, 32], a.shape);
        nn.init.normal_(b);
        var x = randn(5, 32);
        var expected = nn.functional.linear(x, model.proj.weight, model.proj.bias) + (x.mm(a.t()).mm(b.t()) * (6 / 3.0));
        Assert.True(Distance.Relative(model.forward(x), expected) < 1e-5);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Output_and_gradients_are_those_of_the_formula_written_out(bool useDora, bool trainsBase) =>
        Gen.Select(Gen.Int[1, 12], Gen.Int[1, 12], Gen.Int[1, 4], Gen.Int[0, 3], Gen.Bool).SampleSeeded(
            sample =>
            {
                var (inFeatures, outFeatures, rank, batch, bias) = sample;
                using var scope = NewDisposeScope();
                using var model = new OneLinear(inFeatures, outFeatures, bias, ScalarType.Float64);
                using var adapted = model.AttachAdapters(new LoraConfig { Rank = rank, Alpha = 3, UseDora = useDora });
                Randomise(adapted);
                model.proj.weight.requires_grad = trainsBase;
                if (bias) model.proj.bias!.requires_grad = true;
                var x = randn(2, batch, inFeatures, dtype: ScalarType.Float64, requires_grad: true);
                var grad = randn(2, batch, outFeatures, dtype: ScalarType.Float64);
                using var y = model.forward(x);
                y.backward([grad]);
                List<Tensor> inputs = [x, .. Factors(adapted)];
                if (trainsBase) inputs.Add(model.proj.weight);
                if (bias) inputs.Add(model.proj.bias!);
                var actual = inputs.Select(input => input.grad!.clone()).ToArray();
                foreach (var input in inputs) input.grad = null;

                var expected = Reference(model.proj, x, adapted, 3.0 / rank, useDora);
                Assert.True(Distance.Relative(y.detach(), expected.detach()) < 1e-6);
                expected.backward([grad]);
                for (var i = 0; i < inputs.Count; i++) Assert.True(Distance.Relative(actual[i], inputs[i].grad!) < 1e-6, $"input {i}");
            },
            count: 25);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dropout_drops_the_same_elements_forward_and_backward(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(64, 8, dtype: ScalarType.Float64);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, Alpha = 2, Dropout = 0.5, UseDora = useDora });
        Randomise(adapted);
        model.train();
        var x = randn(4, 64, dtype: ScalarType.Float64, requires_grad: true);
        manual_seed(3);
        using var first = model.forward(x);
        first.sum().backward();

        // The mask is the same for the same seed, so finite differences see the function that was differentiated.
        var direction = randn_like(x);
        manual_seed(3);
        using var ahead = model.forward(x.detach() + (direction * 1e-6));
        var slope = (ahead.sum() - first.sum()).item<double>() / 1e-6;
        Assert.Equal((x.grad! * direction).sum().item<double>(), slope, 3);

        manual_seed(4);
        using var other = model.forward(x);
        Assert.True(Distance.Relative(other.detach(), first.detach()) > 1e-3);
        model.eval();
        Assert.True(Distance.Relative(model.forward(x).detach(), Reference(model.proj, x, adapted, 1, useDora).detach()) < 1e-6);
    }

    [Fact]
    public void Dropout_keeps_the_mean()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(256, 4);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 8, Dropout = 0.25 });
        Randomise(adapted);
        var x = rand(1, 256);
        model.eval();
        var exact = model.forward(x);
        model.train();
        var mean = model.forward(x.expand(20_000, 256)).mean([0L], keepdim: true);
        Assert.True(Distance.Relative(mean, exact) < 0.01);
    }

    [Fact]
    public void The_norm_of_DoRA_is_that_of_the_dense_matrix()
    {
        using var scope = NewDisposeScope();
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64 })
        {
            var (w, a, b) = (randn(70, 9000).to(dtype), randn(4, 9000), randn(70, 4));
            using var norm = new Fossil.Weights.FloatWeight(w).RowNorms(a, b, 0.7);
            var dense = linalg.vector_norm(w.to(ScalarType.Float64) + (b.to(ScalarType.Float64).mm(a.to(ScalarType.Float64)) * 0.7), dims: [1]);
            Assert.True(Distance.Relative(norm, dense) < 1e-6);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_batch_of_mixed_adapters_gives_each_row_what_it_gets_alone(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(32, 16);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, UseDora = useDora }, "first");
        adapted.AddAdapter("second", new LoraConfig { Rank = 2, Alpha = 3 });
        adapted.AddAdapter("third", new FossilConfig { ShardSize = 8 });
        Randomise(adapted);
        var x = randn(5, 3, 32);
        string?[] names = ["first", null, "second", "second", "third"];
        Tensor mixed;
        using (adapted.UseAdapters(names)) mixed = model.forward(x).detach();
        for (var row = 0; row < names.Length; row++)
        {
            Tensor alone;
            if (names[row] is { } name)
            {
                adapted.SetAdapter(name);
                alone = model.forward(x[row].unsqueeze(0)).detach();
            }
            else
            {
                using (adapted.DisableAdapters()) alone = model.forward(x[row].unsqueeze(0)).detach();
            }

            Assert.True(Distance.Relative(mixed[row].unsqueeze(0), alone) < 1e-6, $"row {row}");
        }
    }

    [Theory]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(false, ScalarType.BFloat16)]
    [InlineData(true, ScalarType.BFloat16)]
    public void Merged_and_unmerged_outputs_agree_with_several_adapters(bool useDora, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(64, 48, dtype: dtype);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, UseDora = useDora }, "first");
        adapted.AddAdapter("second", new LoraConfig { Rank = 2 });
        adapted.AddAdapter("third", new FossilConfig { ShardSize = 8 });
        Randomise(adapted, 0.1);
        adapted.SetAdapter("first", "second", "third");
        var x = randn(7, 64).to(dtype);
        var weight = model.proj.weight.detach().clone();
        var separate = model.forward(x);
        var tolerance = dtype == ScalarType.Float32 ? 2e-6 : 3e-2;
        adapted.Merge();
        Assert.True(Distance.Relative(model.forward(x), separate) < tolerance);
        adapted.Unmerge();
        Assert.True(Distance.Relative(model.proj.weight, weight) < (dtype == ScalarType.Float32 ? 1e-5 : 3e-2));
        Assert.True(Distance.Relative(model.forward(x), separate) < tolerance);
    }

    private static void CheckUniform(Tensor values, double bound)
    {
        // The largest of n values is below the bound by about bound/n, and the variance of a uniform distribution is bound²/3.
        Assert.InRange(values.abs().max().item<float>(), bound * 0.99, bound * 1.000001);
        Assert.InRange(values.std().item<float>(), bound / Math.Sqrt(3) * 0.97, bound / Math.Sqrt(3) * 1.03);
        Assert.InRange(values.mean().item<float>(), -0.03 * bound, 0.03 * bound);
        Assert.InRange(values.abs().lt(bound / 2).to(ScalarType.Float32).mean().item<float>(), 0.47, 0.53);
    }

    private static void CheckNormal(Tensor values, double deviation)
    {
        Assert.InRange(values.std().item<float>(), deviation * 0.97, deviation * 1.03);
        Assert.InRange(values.mean().item<float>(), -0.03 * deviation, 0.03 * deviation);
        Assert.InRange(values.abs().lt(deviation).to(ScalarType.Float32).mean().item<float>(), 0.66, 0.705);
    }

    private static Tensor Reference(Linear linear, Tensor x, AdaptedModel adapted, double scale, bool useDora)
    {
        var factors = Factors(adapted).Select(factor => (Tensor)factor.to(x.dtype)).ToArray();
        var delta = factors[1].mm(factors[0]) * scale;
        if (!useDora) return nn.functional.linear(x, linear.weight + delta, linear.bias);
        var norm = linalg.vector_norm((linear.weight + delta).detach(), dims: [1]);
        return nn.functional.linear(x, (linear.weight + delta) * (factors[2] / norm).unsqueeze(1), linear.bias);
    }

    private static Parameter Find(AdaptedModel adapted, string kind) => adapted.Targets[0].Layers[0].Parameters().Single(entry => entry.Name.Kind == kind).Parameter;

    private static Parameter[] Factors(AdaptedModel adapted) => [.. adapted.Targets[0].Layers[0].Parameters().Select(entry => entry.Parameter)];

    private static void Randomise(AdaptedModel adapted, double largest = 0.5)
    {
        using var noGrad = no_grad();
        foreach (var layer in adapted.Targets[0].Layers)
        {
            foreach (var (name, parameter) in layer.Parameters())
            {
                // A magnitude far from the norm would scale what rounding leaves.
                if (name.Kind == "lora_magnitude_vector") parameter.mul_(1.25);
                else nn.init.uniform_(parameter, largest / 5, largest);
            }
        }
    }
}
