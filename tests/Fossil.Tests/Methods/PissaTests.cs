using Fossil.TestData;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

public class PissaTests
{
    [Theory]
    [InlineData(null, 48, 64)]
    [InlineData(8, 48, 64)]
    [InlineData(8, 64, 48)]
    [InlineData(0, 64, 48)]
    public void Base_and_adapter_together_are_the_weight_that_was(int? iterations, int outFeatures, int inFeatures)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(inFeatures, outFeatures);
        var x = randn(3, inFeatures);
        var (before, weight) = (model.forward(x).detach(), model.proj.weight.detach().clone());
        using var adapted = model.AttachAdapters(Config(iterations));
        Assert.True(Part(adapted).abs().max().item<float>() > 0.1 * weight.abs().max().item<float>());
        Assert.True(Distance.Relative(model.forward(x).detach(), before) < 1e-5);
        adapted.Merge();
        Assert.True(Distance.Relative(model.proj.weight.detach(), weight) < 1e-5);
    }

    [Fact]
    public void The_randomised_decomposition_comes_close_to_the_exact_one()
    {
        using var scope = NewDisposeScope();
        using var exact = new OneLinear(96, 64);
        using var randomised = new OneLinear(96, 64);
        using var noGrad = no_grad();

        // Singular values that fall off, as those of trained weights do.
        manual_seed(1);
        var (left, right) = (linalg.qr(randn(64, 48)).Q, linalg.qr(randn(96, 48)).Q);
        exact.proj.weight.copy_((left * pow(tensor(0.7f), arange(48))).mm(right.t()));
        randomised.proj.weight.copy_(exact.proj.weight);
        using var first = exact.AttachAdapters(Config(null));
        using var second = randomised.AttachAdapters(Config(16));
        Assert.True(Distance.Relative(Part(second), Part(first)) < 1e-3);
    }

    /// <summary>As much of the weight's square sum as <c>torch.svd_lowrank</c>'s own steps take over, QR decompositions behind each product, from any start: of spectra that are flat, fall fast, end, or are nothing.</summary>
    [Theory]
    [InlineData(96, 64, 1.0, 2)]
    [InlineData(64, 96, 0.98, 4)]
    [InlineData(96, 96, 0.5, 16)]
    [InlineData(64, 96, 0.2, 16)]
    [InlineData(96, 64, 0.0, 3)]
    [InlineData(64, 96, 0.9, 3, 0.0)]
    public void The_randomised_decomposition_takes_over_what_QR_decompositions_would(int outFeatures, int inFeatures, double decay, int iterations, double size = 1)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(inFeatures, outFeatures);
        manual_seed(2);
        var (left, right) = (linalg.qr(randn(outFeatures, 48, dtype: ScalarType.Float64)).Q, linalg.qr(randn(inFeatures, 48, dtype: ScalarType.Float64)).Q);
        var weight = (left * pow(tensor(decay, ScalarType.Float64), arange(48, dtype: ScalarType.Float64))).mm(right.t()) * size;
        model.proj.weight.copy_(weight);
        using var adapted = model.AttachAdapters(Config(iterations));

        var basis = linalg.qr(weight.mm(randn(inFeatures, 8, dtype: ScalarType.Float64))).Q;
        for (var i = 0; i < iterations; i++) basis = linalg.qr(weight.mm(linalg.qr(weight.t().mm(basis)).Q)).Q;
        var expected = (weight - basis.mm(basis.t().mm(weight))).norm().item<double>();
        var actual = (weight - Part(adapted).to(ScalarType.Float64)).norm().item<double>();
        Assert.InRange(actual, 0, (1.05 * expected) + (1e-5 * weight.norm().item<double>()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Removing_the_adapter_gives_the_base_its_weight_back(bool useDora)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(64, 48);
        var weight = model.proj.weight.detach().clone();
        var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8 }, "other");
        adapted.AddAdapter("pissa", Config(null) with { UseDora = useDora });
        Assert.Equal(0, Distance.Relative(model.proj.weight.detach(), weight));
        adapted.DeleteAdapter("pissa");
        Assert.Equal(0, Distance.Relative(model.proj.weight.detach(), weight));
        adapted.AddAdapter("pissa", Config(4));
        adapted.Dispose();
        Assert.Equal(0, Distance.Relative(model.proj.weight.detach(), weight));
        Assert.Empty(model.named_buffers());
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(false, false)]
    [InlineData(true, false)]
    public void Saved_as_LoRA_it_does_for_the_original_base_what_it_did_for_the_residual(bool useRslora, bool fromFolder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new OneLinear(64, 48);
        using var original = new OneLinear(64, 48);
        original.proj.weight.copy_(model.proj.weight);
        original.proj.bias!.copy_(model.proj.bias!);
        using var adapted = model.AttachAdapters(Config(4) with { UseRslora = useRslora, RankPattern = new Dictionary<string, int> { ["proj"] = 6 } });
        adapted.SavePretrained(folder["initial"]);
        foreach (var (_, parameter) in adapted.Targets[0].Layers[0].Parameters()) parameter.add_(randn_like(parameter) * 0.1);
        adapted.SavePissaAsLora(folder["lora"], pathInitialModelForWeightConversion: fromFolder ? folder["initial"] : null);

        using var loaded = original.LoadPretrained(folder["lora"]);
        var config = Assert.IsType<LoraConfig>(loaded.GetConfig());
        Assert.Equal((16, LoraInitialization.Default, 12), (config.Rank, config.InitLoraWeights, config.RankPattern["proj"]));
        var x = randn(3, 64);
        Assert.True(Distance.Relative(original.forward(x), model.forward(x)) < 1e-5);
        Assert.Throws<AdapterCombinationException>(() => loaded.SavePissaAsLora(folder["again"]));
    }

    [Fact]
    public void Saved_as_it_is_and_loaded_on_the_original_base_it_takes_the_same_part_again()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new OneLinear(64, 48);
        using var original = new OneLinear(64, 48);
        original.proj.weight.copy_(model.proj.weight);
        original.proj.bias!.copy_(model.proj.bias!);
        using var adapted = model.AttachAdapters(Config(null));
        foreach (var (_, parameter) in adapted.Targets[0].Layers[0].Parameters()) parameter.add_(randn_like(parameter) * 0.1);
        adapted.SavePretrained(folder.Path);
        using var loaded = original.LoadPretrained(folder.Path);
        var x = randn(3, 64);
        Assert.True(Distance.Relative(original.forward(x), model.forward(x)) < 1e-5);
    }

    [Fact]
    public void It_neither_comes_nor_goes_while_others_are_merged()
    {
        using var model = new OneLinear(64, 48);
        using var adapted = model.AttachAdapters(Config(null), "pissa");
        adapted.AddAdapter("other", new FossilConfig { ShardSize = 8 });
        adapted.Merge(["other"]);
        Assert.Throws<AdapterStateException>(() => adapted.AddAdapter("second", Config(null)));
        Assert.Throws<AdapterStateException>(() => adapted.DeleteAdapter("pissa"));
    }

    [Fact]
    public void A_rank_that_the_weight_does_not_have_is_refused_before_anything_changes()
    {
        using var model = new OneLinear(64, 4);
        using var weight = model.proj.weight.detach().clone();
        Assert.Equal("r", Assert.Throws<ConfigurationException>(() => model.AttachAdapters(Config(null))).Field);
        Assert.True(Distance.Relative(model.proj.weight.detach(), weight) == 0);
    }

    /// <summary>s·B₀ A₀ of an adapter that is not trained yet.</summary>
    private static Tensor Part(AdaptedModel adapted)
    {
        var layer = adapted.Targets[0].Layers.Single();
        Tensor Factor(string kind) => layer.Parameters().Single(entry => entry.Name.Kind == kind).Parameter.detach();
        return Factor("lora_B").mm(Factor("lora_A")) * 2;
    }

    private static LoraConfig Config(int? iterations) =>
        new() { Rank = 8, Alpha = 16, InitLoraWeights = iterations is { } count ? LoraInitialization.PissaWithIterations(count) : LoraInitialization.Pissa };
}
