using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>The tiny checkpoints of more families against transformers.</summary>
public sealed class GoldenFamiliesDecoderTests
{
    public static TheoryData<string> Decoders() => GoldenFamilies.Decoders();

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void Logits_are_those_of_the_float64_truth(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(name);
        var truth = reference.Load("truth.logits");
        using var logits = model.forward(reference.Load("input_ids")).narrow(0, 0, truth.shape[0]);

        Assert.InRange(GoldenDecoderTests.Largest(logits, truth), 0, Math.Max(1e-4, 2 * GoldenDecoderTests.Largest(reference.Load("logits"), truth)));
    }

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void Greedy_text_is_transformers_text(string name)
    {
        using var scope = NewDisposeScope();
        var (model, reference) = Open(name);
        var expected = reference.Load("greedy");
        const int prompt = 12;
        int[][] rows = [.. Enumerable.Range(0, (int)expected.shape[0]).Select(row => expected[row].data<long>().Select(id => (int)id).ToArray())];
        var texts = model.Generate(rows.Select(row => row[..prompt]).ToArray(), new GenerationOptions { MaxNewTokens = rows[0].Length - prompt, StopTokens = [] });

        Assert.Equal(rows.Select(row => row[prompt..]), texts);
    }

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void Cached_and_padded_decoding_equals_the_full_pass(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, reference) = Open(name);
        var ids = reference.Load("input_ids").narrow(0, 0, 2);
        const int padding = 5;
        var mask = ones(2, ids.shape[1] + padding, dtype: int64);
        mask[1].narrow(0, 0, padding).zero_();
        var padded = cat([zeros(2, padding, dtype: int64), ids], 1);
        mask[0].narrow(0, 0, padding).zero_();
        // The second text is shorter than the first: it begins later, and its tables are those of its own length.
        mask[1].narrow(0, 0, padding + 12).zero_();

        using var cache = new KeyValueCache(model.CommonConfig.NumHiddenLayers);
        Tensor? last = null;
        foreach (var (start, count) in new[] { (0L, padding + 16L) }.Concat(Enumerable.Range(padding + 16, (int)ids.shape[1] - 16).Select(i => ((long)i, 1L))))
        {
            last = model.forward(padded.narrow(1, start, count), mask.narrow(1, 0, start + count), cache, last_only: true);
        }

        Assert.InRange(GoldenDecoderTests.Largest(last![0], model.forward(ids.narrow(0, 0, 1))[0].narrow(0, ids.shape[1] - 1, 1)), 0, 1e-4);
        var tail = ids.narrow(0, 1, 1).narrow(1, 12, ids.shape[1] - 12);
        Assert.InRange(GoldenDecoderTests.Largest(last[1], model.forward(tail)[0].narrow(0, tail.shape[1] - 1, 1)), 0, 1e-4);
    }

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void A_saved_model_loads_back_to_the_same_logits(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var (model, reference) = Open(name);
        model.SavePretrained(folder.Path);
        using var again = AutoModelForCausalLM.FromPretrained(folder.Path);
        var ids = reference.Load("input_ids");

        Assert.IsType(model.GetType(), again);
        Assert.Equal(model.CommonConfig.ToJson().ToJsonString(), again.CommonConfig.ToJson().ToJsonString());
        Assert.Equal(0, GoldenDecoderTests.Largest(again.forward(ids), model.forward(ids)));
    }

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void A_GGUF_file_of_the_model_loads_back_to_the_same_logits(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var (model, reference) = Open(name);
        if (Refused(model.CommonConfig) is { } reason)
        {
            Assert.Contains(reason, Assert.Throws<ExportException>(() => model.SaveGguf(folder["model.gguf"], GgufTensorType.F32)).Message);
            return;
        }

        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using var again = AutoModelForCausalLM.FromGguf(folder["model.gguf"]);
        var ids = reference.Load("input_ids");

        Assert.IsType(model.GetType(), again);
        Assert.InRange(GoldenDecoderTests.Largest(again.forward(ids), model.forward(ids)), 0, 1e-4);
    }

    /// <summary>What the error names where GGUF cannot say a model; null where it can.</summary>
    private static string? Refused(CausalLMConfig config) => config switch
    {
        { Rope.Type: RopeType.Dynamic } => "dynamic",
        SmolLM3Config when Enumerable.Range(0, config.NumHiddenLayers).Any(layer => ((SmolLM3Config)config).HasRope(layer) != ((layer + 1) % 4 != 0)) => "every fourth",
        Gemma2Config gemma2 when Enumerable.Range(0, gemma2.NumHiddenLayers).Any(layer => gemma2.IsSliding(layer) != (layer % 2 == 0)) => "every second",
        Gemma2Config gemma2 when gemma2.QueryPreAttnScalar != gemma2.HeadDim => "query_pre_attn_scalar",
        Gemma3Config when Enumerable.Range(0, config.NumHiddenLayers).Any(layer => ((Gemma3Config)config).IsSliding(layer) != ((layer + 1) % 6 != 0)) => "every sixth",
        _ => null,
    };

    internal static (CausalLM Model, SafetensorsFile Reference) Open(string name)
    {
        var folder = OpenFolder(name);
        return (AutoModelForCausalLM.FromPretrained(folder), GoldenFamilies.Reference(folder));
    }

    internal static string OpenFolder(string name)
    {
        var folder = GoldenFamilies.Open(name, type => AutoModelForCausalLM.Families.Any(family => family.Model.Name == type));
        return folder;
    }
}
