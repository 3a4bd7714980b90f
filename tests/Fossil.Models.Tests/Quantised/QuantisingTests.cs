using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Weights that are quantised after they were loaded.</summary>
public class QuantisingTests
{
    [SkippableFact]
    public void Nf4_with_double_quantisation_is_what_bitsandbytes_makes_of_the_weights()
    {
        using var scope = NewDisposeScope();
        using var theirs = LlamaForCausalLM.FromPretrained(GoldenQuantisedCases.PathOf("bnb-nf4-double"), keepQuantized: true);
        using var ours = LlamaForCausalLM.FromPretrained(Path.Combine(DataFolders.RequireGolden(), "models", "llama"));
        var expected = Layers(theirs).Where(entry => !entry.Value.IsFloatingPoint && entry.Value.Weight.InFeatures % NormalFloat.BlockSize == 0).ToDictionary(entry => entry.Key, entry => (FourBitWeight)entry.Value.Weight);
        Assert.Equal(expected.Count, ours.QuantizeWeights(WeightQuantization.NF4));
        foreach (var (path, layer) in Layers(ours).Where(entry => expected.ContainsKey(entry.Key)))
        {
            var (made, golden) = ((FourBitWeight)layer.Weight, expected[path]);
            Assert.Equal(golden.Layout.Values, made.Layout.Values);
            // Where two codes are equally near, the last bit of a division decides.
            var different = made.Codes.view(-1).ne(golden.Codes.view(-1)).sum().item<long>();
            Assert.True(different <= made.Codes.numel() / 1000, $"{path}: {different} bytes of {made.Codes.numel()} differ.");
            Assert.True(made.ToTensor(ScalarType.Float32).sub(golden.ToTensor(ScalarType.Float32)).abs().mean().item<float>() < 1e-5, path);
        }
    }

    [Theory]
    [InlineData(WeightQuantization.Q8_0, 0.01)]
    [InlineData(WeightQuantization.Q4_0, 0.15)]
    [InlineData(WeightQuantization.NF4, 0.15)]
    public void Projections_are_quantised_and_the_rest_stays(WeightQuantization type, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, original) = (TinyModels.Create(), TinyModels.Create());
        Assert.Equal(14, model.QuantizeWeights(type));
        Assert.Contains("lm_head.weight", model.named_parameters().Select(entry => entry.name));
        Assert.Contains("model.embed_tokens.weight", model.named_parameters().Select(entry => entry.name));
        foreach (var (path, layer) in Layers(model).Where(entry => !entry.Value.IsFloatingPoint))
        {
            var before = Layers(original)[path].Weight.ToTensor(ScalarType.Float32);
            Assert.InRange((layer.Weight.ToTensor(ScalarType.Float32) - before).norm().item<float>() / before.norm().item<float>(), 1e-6, tolerance);
        }

        Assert.Equal(0, model.QuantizeWeights(type));
    }

    [Fact]
    public void An_adapted_layer_is_not_quantised_under_its_adapter()
    {
        using var scope = NewDisposeScope();
        var model = TinyModels.Create();
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2 });
        Assert.Throws<AdapterStateException>(() => model.QuantizeWeights(WeightQuantization.NF4));
    }

    [Fact]
    public void Rows_that_are_no_whole_blocks_stay_and_are_named()
    {
        using var scope = NewDisposeScope();
        var model = TinyModels.Create(TinyModels.Config with { IntermediateSize = 96 });
        var quantised = 0;
        var warning = Assert.Single(CollectedWarnings.During(() => quantised = model.QuantizeWeights(WeightQuantization.NF4)));
        Assert.Equal(12, quantised);
        Assert.Contains("down_proj' and 1 others", warning, StringComparison.Ordinal);
    }

    private static Dictionary<string, LinearLayer> Layers(LlamaForCausalLM model) => model.named_modules().Where(entry => entry.module is LinearLayer).ToDictionary(entry => entry.name, entry => (LinearLayer)entry.module);
}
