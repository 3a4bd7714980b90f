using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>However often a model is merged and unmerged, no weight drifts.</summary>
public sealed class MergeBitsTests
{
    public static TheoryData<string, bool> Cases => new()
    {
        { "balance", true }, { "balance", false }, { "bat", true }, { "bat", false }, { "lora", true }, { "dora", true }, { "dora", false }, { "pissa", true }, { "pissa", false },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Disabling_while_merged_gives_the_merged_bits_back(string method, bool keepBase)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = Create(method, out var adapted);
        using var _ = adapted;
        var original = layer.proj.weight.clone();
        adapted.Merge(["first"], keepBase: keepBase);
        if (method is "balance" or "lora") adapted.Merge(["second"], keepBase: keepBase);
        var merged = layer.proj.weight.clone();
        Tensor? basis = null;
        for (var i = 0; i < 5; i++)
        {
            using (adapted.DisableAdapters())
            using (adapted.DisableAdapters())
            {
                basis ??= layer.proj.weight.clone();
                Assert.Equal(0, Different(basis, layer.proj.weight));
                if (keepBase) Assert.Equal(0, Different(original, layer.proj.weight));
                else Assert.True(Distance.Relative(layer.proj.weight, original) < 2e-2);
            }

            Assert.Equal(0, Different(merged, layer.proj.weight));
        }

        Assert.NotEqual(0, Different(original, merged));
        adapted.Unmerge();
        Assert.Equal(0, Different(basis!, layer.proj.weight));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Merging_and_unmerging_between_steps_leaves_the_base_alone(string method, bool keepBase)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = Create(method, out var adapted);
        using var _ = adapted;
        var original = layer.proj.weight.clone();
        for (var i = 0; i < 5; i++)
        {
            // Without the kept base it is the arithmetic that is tested, within rounding.
            if (keepBase) adapted.Merge(["first"]);
            else adapted.Merge(["first"], keepBase: false);
            adapted.Unmerge();
            TinyModel.Randomize(adapted, scale: 0.02);
        }

        if (keepBase) Assert.Equal(0, Different(original, layer.proj.weight));
        else Assert.True(Distance.Relative(layer.proj.weight, original) < 5e-2);
    }

    [Fact]
    public void Unmerging_or_disposing_while_disabled_leaves_the_base()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = Create("balance", out var adapted);
        var original = layer.proj.weight.clone();
        adapted.Merge(["first"]);
        using (adapted.DisableAdapters()) Assert.Equal(["first"], adapted.Unmerge());
        Assert.Equal(0, Different(original, layer.proj.weight));
        Assert.Empty(adapted.MergedAdapters);

        adapted.Merge(["first"]);
        var disabled = adapted.DisableAdapters();
        Assert.Throws<AdapterStateException>(() => adapted.DeleteAdapter("first"));
        adapted.Dispose();
        disabled.Dispose();
        Assert.Equal(0, Different(original, layer.proj.weight));
    }

    [Fact]
    public void What_is_computed_from_the_base_is_so_while_another_adapter_is_merged()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = Create("balance", out var adapted, ScalarType.Float32);
        using var _ = adapted;
        adapted.AddAdapter("bat", new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted, "bat", 0.5);
        adapted.ConvertToLora("before", "bat", rank: 8);
        adapted.AddAdapter("dora before", new LoraConfig { Rank = 2, UseDora = true });
        adapted.Merge(["first"]);
        adapted.ConvertToLora("after", "bat", rank: 8);
        adapted.AddAdapter("dora after", new LoraConfig { Rank = 2, UseDora = true });
        adapted.Unmerge();
        Tensor Parameter(string adapter, string kind) => adapted.Targets[0].FindLayer(adapter)!.Parameters().Single(entry => entry.Name.Kind == kind).Parameter;
        Tensor Change(string adapter) => Parameter(adapter, "lora_B").mm(Parameter(adapter, "lora_A"));
        Assert.True(Distance.Relative(Change("after"), Change("before")) < 1e-5);
        Assert.Equal(0, Different(Parameter("dora before", "lora_magnitude_vector"), Parameter("dora after", "lora_magnitude_vector")));
    }

    private static OneLinear Create(string method, out AdaptedModel adapted, ScalarType dtype = ScalarType.BFloat16)
    {
        TorchSharp.torch.random.manual_seed(4);
        AdapterConfig config = method switch
        {
            "balance" => new FossilConfig { ShardSize = 4 },
            "bat" => new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat },
            "lora" => new LoraConfig { Rank = 4 },
            "dora" => new LoraConfig { Rank = 4, UseDora = true },
            _ => new LoraConfig { Rank = 4, InitLoraWeights = LoraInitialization.Pissa },
        };
        var layer = new OneLinear(32, 24, dtype: dtype);
        adapted = layer.AttachAdapters(config, "first");
        adapted.AddAdapter("second", config);
        TinyModel.Randomize(adapted);
        return layer;
    }

    private static long Different(Tensor expected, Tensor actual) => expected.ne(actual).sum().item<long>();
}
