using System.Text.Json.Nodes;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>The tiny checkpoints of each architecture against transformers.</summary>
public sealed class GoldenDecoderTests
{
    private const string None = "(no golden data)";

    public static TheoryData<string> Architectures()
    {
        var names = new TheoryData<string>();
        if (DataFolders.Golden is { } folder)
        {
            var index = JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!;
            foreach (var name in index["models"]!.AsArray().Select(entry => (string)entry!["model"]!).Distinct()) names.Add(name);
        }
        if (names.Count == 0) names.Add(None);
        return names;
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void Logits_are_those_of_the_float64_truth(string architecture)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(architecture);
        using var logits = model.forward(reference.Load("input_ids"));
        var truth = reference.Load("truth.logits");
        var own = Largest(reference.Load("logits"), truth);

        Assert.InRange(Largest(logits, truth), 0, Math.Max(1e-4, 2 * own));
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void Loss_is_transformers_loss(string architecture)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(architecture);
        var loss = model.loss(reference.Load("input_ids"), reference.Load("labels")).item<float>();

        Assert.Equal(reference.Load("loss").item<float>(), loss, 1e-5);
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void Float64_is_computed_in_float64(string architecture)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(architecture, ScalarType.Float64);

        Assert.InRange(Largest(model.forward(reference.Load("input_ids")), reference.Load("truth.logits")), 0, 2e-5);
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void Cached_decoding_equals_the_full_pass(string architecture)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(architecture);
        var ids = reference.Load("input_ids");
        var full = model.forward(ids);

        using var cache = new KeyValueCache(model.Config.NumHiddenLayers);
        var parts = new List<Tensor>();
        // Five tokens at once, then four on top of them, then one by one.
        foreach (var (start, count) in new[] { (0, 5), (5, 4) }.Concat(Enumerable.Range(9, (int)ids.shape[1] - 9).Select(i => (i, 1))))
        {
            parts.Add(model.forward(ids.narrow(1, start, count), attention_mask: null, cache));
        }

        Assert.InRange(Largest(torch_cat(parts), full), 0, 1e-4);
        static Tensor torch_cat(List<Tensor> tensors) => TorchSharp.torch.cat(tensors, dim: 1);
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void Greedy_text_is_transformers_text(string architecture)
    {
        using var scope = NewDisposeScope();
        var (model, reference) = Open(architecture);
        var expected = reference.Load("greedy");
        const int prompt = 12;
        int[][] rows = [.. Enumerable.Range(0, (int)expected.shape[0]).Select(row => expected[row].data<long>().Select(id => (int)id).ToArray())];
        var texts = model.Generate(rows.Select(row => row[..prompt]).ToArray(), new GenerationOptions { MaxNewTokens = rows[0].Length - prompt, StopTokens = [] });

        Assert.Equal(rows.Select(row => row[prompt..]), texts);
    }

    [SkippableTheory, MemberData(nameof(Architectures))]
    public void A_saved_model_loads_back_to_the_same_logits(string architecture)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var (model, reference) = Open(architecture);
        model.SavePretrained(folder.Path);
        using var again = LlamaForCausalLM.FromPretrained(folder.Path);
        var ids = reference.Load("input_ids");

        Assert.Equal(model.Config with { EosTokenIds = [] }, again.Config with { EosTokenIds = [], SlidingLayers = model.Config.SlidingLayers });
        Assert.Equal(0, Largest(again.forward(ids), model.forward(ids)));
    }

    internal static (LlamaForCausalLM Model, SafetensorsFile Reference) Open(string architecture, ScalarType dtype = ScalarType.Float32)
    {
        var folder = DataFolders.RequireGolden();
        Skip.If(architecture == None, "No golden data: set FOSSIL_GOLDEN to their folder.");
        folder = Path.Combine(folder, "models", architecture);
        return (LlamaForCausalLM.FromPretrained(folder, dtype), SafetensorsFile.Open(Path.Combine(folder, "reference.safetensors")));
    }

    internal static double Largest(Tensor actual, Tensor expected) =>
        (actual.to(ScalarType.Float64) - expected.to(ScalarType.Float64)).abs().max().item<double>();
}
