using System.Text.Json.Nodes;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Quantised Hugging Face folders (bitsandbytes, FP8) and the adapters that PEFT trained over one, dequantised when they are loaded, and kept as they are.</summary>
public sealed class GoldenQuantisedFolderTests : IDisposable
{
    // What the golden data's README allows.
    private const double LossTolerance = 1e-4, TrainedLogitTolerance = 1e-2, LogitTolerance = 1e-4;

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string, bool> Folders() => BothWays(GoldenQuantisedCases.BitsAndBytes());

    public static TheoryData<string, bool> Adapters() => BothWays(GoldenQuantisedCases.Adapters());

    [SkippableTheory, MemberData(nameof(Folders))]
    public void A_folder_of_bitsandbytes_is_dequantised_exactly(string name, bool kept)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf(name, "reference.safetensors"));
        using var model = LlamaForCausalLM.FromPretrained(GoldenQuantisedCases.PathOf(name), keepQuantized: kept);
        var layers = model.named_modules().Where(entry => entry.module is LinearLayer).ToDictionary(entry => entry.name, entry => (LinearLayer)entry.module);
        foreach (var tensor in reference.Names.Where(tensor => tensor.StartsWith("dequantised.", StringComparison.Ordinal)))
        {
            var layer = layers[tensor["dequantised.".Length..]];
            Assert.Equal(kept, !layer.IsFloatingPoint);
            Assert.True(reference.Load(tensor).equal(layer.Weight.ToTensor(ScalarType.Float32)).all().item<bool>(), tensor);
        }

        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, reference), reference.Load("dequantised_logits")), 0, LogitTolerance);
    }

    [SkippableTheory, InlineData(false), InlineData(true)]
    public void A_folder_of_floats_of_eight_bits_gives_its_logits(bool kept)
    {
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("fp8", "reference.safetensors"));
        using var model = LlamaForCausalLM.FromPretrained(GoldenQuantisedCases.PathOf("fp8"), keepQuantized: kept);
        Assert.Equal(kept, model.modules().OfType<LinearLayer>().Any(layer => !layer.IsFloatingPoint));
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, reference), reference.Load("logits")), 0, LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void An_adapter_over_four_bits_gives_PEFTs_logits(string name, bool kept)
    {
        using var scope = NewDisposeScope();
        var adapter = GoldenQuantisedCases.PathOf("bnb-nf4-double", "adapters", name);
        using var reference = SafetensorsFile.Open(Path.Combine(adapter, "reference.safetensors"));
        using var ids = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("bnb-nf4-double", "reference.safetensors"));
        using var model = LlamaForCausalLM.FromPretrained(GoldenQuantisedCases.PathOf("bnb-nf4-double"), keepQuantized: kept);
        using var adapted = model.LoadPretrained(adapter);
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), reference.Load("logits")), 0, LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void Training_over_four_bits_gives_PEFTs_losses(string name, bool kept)
    {
        using var scope = NewDisposeScope();
        var adapter = GoldenQuantisedCases.PathOf("bnb-nf4-double", "adapters", name);
        using var reference = SafetensorsFile.Open(Path.Combine(adapter, "reference.safetensors"));
        using var data = SafetensorsFile.Open(Path.Combine(DataFolders.RequireGolden(), "models", "llama", "reference.safetensors"));
        using var model = LlamaForCausalLM.FromPretrained(GoldenQuantisedCases.PathOf("bnb-nf4-double"), keepQuantized: kept);
        using var adapted = model.AttachAdapters(AdapterConfig.Load(adapter) with { InferenceMode = false });
        GoldenAdapterTests.SetInitialValues(adapted, reference);
        var losses = new List<double>();
        using (var optimizer = adapted.CreateOptimizer(1e-2, weightDecay: 0.01))
        {
            for (var step = 0; step < reference.Load("losses").numel(); step++)
            {
                using var stepScope = NewDisposeScope();
                var loss = model.loss(data.Load("input_ids"), data.Load("labels"));
                loss.backward();
                optimizer.step();
                optimizer.zero_grad();
                losses.Add(loss.item<float>());
            }
        }

        var expected = reference.Load("losses").data<double>().ToArray();
        for (var step = 0; step < expected.Length; step++) Assert.InRange(Math.Abs(losses[step] - expected[step]), 0, LossTolerance * Math.Max(1, expected[step]));
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, data), reference.Load("logits")), 0, TrainedLogitTolerance);
    }

    [SkippableTheory]
    [InlineData("gptq", "GPTQ")]
    [InlineData("awq", "AWQ")]
    [InlineData("compressed-tensors", "compressed-tensors")]
    [InlineData("something new", "something new")]
    public void Another_method_is_named(string method, string expected)
    {
        var copy = Copy("bnb-nf4", config => config["quantization_config"] = new JsonObject { ["quant_method"] = method, ["bits"] = 4 });
        Assert.Contains(expected, Refused(copy).Message, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData("bnb-nf4", ".weight.quant_state.bitsandbytes__nf4", "U8")]
    [InlineData("bnb-nf4", ".weight.absmax", ".weight.absmax' is missing")]
    [InlineData("bnb-nf4-double", ".weight.nested_absmax", ".weight.nested_absmax' is missing")]
    [InlineData("bnb-int8", ".SCB", "I8")]
    [InlineData("fp8", ".weight_scale_inv", "weight_scale_inv' are missing")]
    public void Codes_without_what_belongs_to_them_are_no_numbers(string name, string missing, string expected)
    {
        var copy = Copy(name, _ => { }, tensor => tensor != "model.layers.0.self_attn.q_proj" + missing);
        Assert.Contains(expected, Refused(copy).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Scales_of_another_block_size_are_refused()
    {
        var copy = Copy("fp8", config => config["quantization_config"]!["weight_block_size"] = new JsonArray(16, 16));
        Assert.Contains("16 x 16", Refused(copy).Message, StringComparison.Ordinal);
    }

    public void Dispose() => folder.Dispose();

    private static TheoryData<string, bool> BothWays(TheoryData<string> names)
    {
        var both = new TheoryData<string, bool>();
        foreach (var name in names)
        {
            both.Add(name, false);
            both.Add(name, true);
        }

        return both;
    }

    private static Tensor Logits(LlamaForCausalLM model, SafetensorsFile ids)
    {
        using var noGrad = no_grad();
        return model.forward(ids.Load("input_ids")[TensorIndex.Slice(0, 2)]);
    }

    private static CheckpointException Refused(string folder) => Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder).Dispose());

    /// <summary>A copy of a folder with another configuration, or without some tensors.</summary>
    private string Copy(string name, Action<JsonObject> change, Func<string, bool>? keep = null)
    {
        using var scope = NewDisposeScope();
        var config = JsonNode.Parse(File.ReadAllBytes(GoldenQuantisedCases.PathOf(name, "config.json")))!.AsObject();
        change(config);
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        using var source = SafetensorsFile.Open(GoldenQuantisedCases.PathOf(name, "model.safetensors"));
        SafetensorsWriter.Save(folder["model.safetensors"], source.Names.Where(keep ?? (_ => true)).Select(tensor => (tensor, source.Load(tensor))));
        return folder.Path;
    }
}
