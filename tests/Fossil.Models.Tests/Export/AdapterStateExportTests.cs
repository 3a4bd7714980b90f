using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Export;

/// <summary>What is written of a decoder, whatever its adapters' state: the model as it computes, or the base.</summary>
public sealed class AdapterStateExportTests : IDisposable
{
    private static readonly LoraConfig Plain = new() { Rank = 4, Alpha = 8, TargetModules = ["q_proj", "down_proj"] };

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void A_merged_adapter_and_an_active_one_are_both_in_a_merged_export(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(dtype: dtype);
        using var adapted = model.AttachAdapters(Plain, "a");
        adapted.AddAdapter("b", Plain with { TargetModules = ["q_proj", "up_proj"] });
        Randomize(adapted);
        adapted.SetAdapter("a", "b");
        var weights = Weights(model);
        var tokens = TinyModels.Tokens(2, 9);
        adapted.Merge(["a"]);
        var (merged, expected) = (Weights(model), model.forward(tokens));
        adapted.SaveMergedPretrained(folder["hf"]);
        adapted.SaveMergedGguf(folder["model.gguf"], GgufTensorType.F32);

        // The weights of the model itself are as they were, to the bit, and so is what is merged.
        AssertSame(merged, Weights(model));
        Assert.Equal(["a"], adapted.MergedAdapters);
        adapted.Unmerge();
        AssertSame(weights, Weights(model));

        var tolerance = dtype == ScalarType.Float32 ? 1e-5 : 5e-2;
        Assert.InRange(Distance.Relative(Logits(folder["hf"], tokens, dtype), expected), 0, tolerance);
        using var gguf = LlamaForCausalLM.FromGguf(folder["model.gguf"], dtype: dtype);
        Assert.InRange(Distance.Relative(gguf.forward(tokens), expected), 0, tolerance);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(2)]
    public void A_PiSSA_adapter_that_is_not_used_is_in_no_export(int? iterations)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create();
        var tokens = TinyModels.Tokens(2, 9);
        var (weights, basis) = (Weights(model), model.forward(tokens));
        using var adapted = model.AttachAdapters(Plain with { InitLoraWeights = iterations is { } count ? LoraInitialization.PissaWithIterations(count) : LoraInitialization.Pissa }, "p");
        Randomize(adapted);
        adapted.AddAdapter("q", Plain);
        var trained = model.forward(tokens);
        Assert.True(Distance.Relative(trained, basis) > 0.01);
        model.SavePretrained(folder["base"]);
        Assert.Equal(0, Distance.Relative(Logits(folder["base"], tokens), basis));
        model.SaveGguf(folder["base.gguf"], GgufTensorType.F32);
        using (var gguf = LlamaForCausalLM.FromGguf(folder["base.gguf"])) Assert.Equal(0, Distance.Relative(gguf.forward(tokens), basis));
        adapted.SaveMergedPretrained(folder["p"]);
        Assert.InRange(Distance.Relative(Logits(folder["p"], tokens), trained), 0, 1e-5);

        // As LoRA for other programs it goes with the base.
        adapted.SaveGgufLora(folder["p.gguf"], "p");
        using (var lora = GgufFile.Open(folder["p.gguf"])) Assert.All(lora.Tensors.Where(tensor => tensor.Name.EndsWith("lora_a", StringComparison.Ordinal)), tensor => Assert.Equal(8, tensor.Shape[0]));
        adapted.SetAdapter("q");
        adapted.SaveMergedPretrained(folder["q"]);
        Assert.Equal(0, Distance.Relative(Logits(folder["q"], tokens), basis));
        using (adapted.DisableAdapters()) Assert.Equal(0, Distance.Relative(model.forward(tokens), basis));
        AssertSame(weights, Weights(model));
    }

    /// <summary>PEFT's file of an adapted output layer has its base weight too, of PiSSA what is left of it.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void A_PiSSA_adapter_of_the_output_layer_is_saved_with_the_residual_and_loads_on_the_base(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(dtype: dtype);
        using var other = TinyModels.Create(dtype: dtype);
        var tokens = TinyModels.Tokens(2, 9);
        using var adapted = model.AttachAdapters(Plain with { TargetModules = ["lm_head", "embed_tokens", "q_proj"], InitLoraWeights = LoraInitialization.Pissa });
        var head = adapted.Targets.Single(target => target.Path == "lm_head");
        Tensor Factor(string kind) => head.Layers.Single().Parameters().Single(entry => entry.Name.Kind == kind).Parameter;
        var part = Factor("lora_B").mm(Factor("lora_A")) * 2;
        Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        using (var file = AdapterFile.Open(folder.Path))
        {
            var saved = file.Load(new AdapterTensorName(AdapterTensorKind.AdaptedWeight, "lm_head", "weight"));
            Assert.InRange(Distance.Relative(saved, head.Weight.to(ScalarType.Float32) - part), 0, dtype == ScalarType.Float32 ? 1e-6 : 4e-3);
        }

        using var loaded = other.LoadPretrained(folder.Path);
        Assert.Equal(0, Distance.Relative(other.forward(tokens), model.forward(tokens)));
        using (loaded.DisableAdapters()) AssertSame(Weights(model), Weights(other));
        AssertSame(Weights(model), Weights(other));

        // As LoRA of twice the rank, the embedding's too, which starts from nothing.
        adapted.SavePissaAsLora(folder["lora"]);
        loaded.LoadAdapter(folder["lora"], "lora");
        loaded.SetAdapter("lora");
        Assert.InRange(Distance.Relative(other.forward(tokens), model.forward(tokens)), 0, dtype == ScalarType.Float32 ? 1e-5 : 5e-2);
    }

    [Fact]
    public void What_an_active_adapter_trains_of_the_base_is_in_the_merged_export_and_not_in_the_base()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create();
        var tokens = TinyModels.Tokens(2, 9);
        var basis = model.forward(tokens);
        using var adapted = model.AttachAdapters(Plain with { ModulesToSave = ["lm_head"] });
        Randomize(adapted);
        model.named_parameters().Single(entry => entry.name == "lm_head.weight").parameter.mul_(2);
        var trained = model.forward(tokens);
        model.SavePretrained(folder["base"]);
        adapted.SaveMergedPretrained(folder["merged"]);
        Assert.Equal(0, Distance.Relative(Logits(folder["base"], tokens), basis));
        Assert.InRange(Distance.Relative(Logits(folder["merged"], tokens), trained), 0, 1e-5);
        Assert.Equal(0, Distance.Relative(model.forward(tokens), trained));
    }

    private static Tensor Logits(string folder, Tensor tokens, ScalarType dtype = ScalarType.Float32)
    {
        using var model = LlamaForCausalLM.FromPretrained(folder, dtype);
        return model.forward(tokens);
    }

    private static void Randomize(AdaptedModel adapted)
    {
        foreach (var (_, parameter) in adapted.Targets.SelectMany(target => target.Layers).SelectMany(layer => layer.Parameters())) parameter.add_(randn_like(parameter), 0.1);
    }

    private static Dictionary<string, Tensor> Weights(LlamaForCausalLM model) =>
        model.named_parameters().Where(entry => !entry.name.Contains("lora_", StringComparison.Ordinal)).ToDictionary(entry => entry.name, entry => entry.parameter.clone());

    private static void AssertSame(Dictionary<string, Tensor> expected, Dictionary<string, Tensor> actual) =>
        Assert.All(expected, entry => Assert.True(entry.Value.equal(actual[entry.Key]).all().item<bool>(), entry.Key));
}
