using Fossil.Models;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Families;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Llama.Tests;

/// <summary>Random models of every family as GGUF files in llama.cpp: the same tokens, logits and texts as here, with and without adapters.</summary>
public sealed class RandomModelsTests : IDisposable
{
    private const string Text = "in the beginning there was an end, and then the 42 others — naïve ones\n\n";

    private static readonly PretrainedTokenizer Tokenizer = MadeVocabulary.Create();

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Names => FamilyModels.Names;

    [Theory, MemberData(nameof(Names))]
    public void Tokens_logits_and_text_are_llama_cpps(string name)
    {
        using var model = Save(name);
        using var client = new LlamaCpp(folder["model.gguf"]);
        using var again = AutoModelForCausalLM.FromGguf(folder["model.gguf"]);
        var ids = client.Vocabulary.Tokens(Text);

        Assert.Equal(Tokenizer.Encode(Text), ids);
        Logits.AssertNear(client.Logits(ids), Logits.Of(model, ids));
        Logits.AssertNear(client.Logits(ids), Logits.Of(again, ids));
        Assert.Equal(client.Greedy(ids, 24), model.Generate(ids, new GenerationOptions { MaxNewTokens = 24, StopTokens = [] }));
    }

    [Theory, MemberData(nameof(Names))]
    public void A_GGUF_LoRA_changes_llama_cpps_logits_as_the_adapter_changes_ours(string name)
    {
        using var model = Save(name);
        using var client = new LlamaCpp(folder["model.gguf"]);
        var ids = Tokenizer.Encode(Text);
        var plain = client.Logits(ids);
        foreach (AdapterConfig config in (AdapterConfig[])[new FossilConfig { ShardSize = 16 }, new LoraConfig { Rank = 4, Alpha = 12 }])
        {
            using var adapted = model.AttachAdapters(config);
            FamilyModels.Fill(adapted.TrainableParameters().Select(p => p.Parameter), 0.1);
            var path = folder[config.GetType().Name + ".gguf"];
            adapted.SaveGgufLora(path);
            client.Adapt(path);
            var changed = client.Logits(ids);

            Assert.True(Logits.Distance(plain, changed) > 0.05, "the adapter changes too little to be tested by it");
            Logits.AssertNear(changed, Logits.Of(model, ids));
        }
    }

    [Fact]
    public void Short_factors_count_in_a_context_of_the_original_length()
    {
        const int original = 256;
        using var model = Save("phi3-longrope", config => ((Phi3Config)config) with { Rope = config.Rope with { OriginalMaxPositionEmbeddings = original }, OriginalMaxPositionEmbeddings = original, MaxPositionEmbeddings = 2048 });
        using var client = new LlamaCpp(folder["model.gguf"], contextSize: original);
        var ids = Tokenizer.Encode(Text);

        Logits.AssertNear(client.Logits(ids), Logits.Of(model, ids));
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen2")]
    [InlineData("phi3")]
    public void A_window_that_llama_cpp_does_not_heed_is_named_when_it_is_written(string name)
    {
        const int window = 8;
        var warnings = CollectedWarnings.During(() => Save(name, config => config with { SlidingWindow = window }).Dispose());
        using var model = AutoModelForCausalLM.FromGguf(folder["model.gguf"]);
        using var client = new LlamaCpp(folder["model.gguf"]);
        var ids = Tokenizer.Encode(Text);

        Assert.Contains(warnings, warning => warning.Contains("sliding window") && warning.Contains($"{window} tokens"));
        Logits.AssertNear(client.Logits(ids[..window]), Logits.Of(model, ids[..window]));
        Assert.True(Logits.Distance(client.Logits(ids), Logits.Of(model, ids)) > 0.1, "llama.cpp heeds the window now: the warning has no reason any more");
    }

    // Not 1, no layer with a window: llama.cpp ends the process then.
    [Theory]
    [InlineData(2u)]
    [InlineData(0u)]
    public void Other_patterns_of_layers_that_a_Gemma_file_states_are_read_as_in_llama_cpp(uint period)
    {
        using (Save("gemma3"))
        {
            using var file = GgufFile.Open(folder["model.gguf"]);
            var metadata = new GgufMetadata();
            foreach (var (key, value) in file.Metadata) metadata[key] = value;
            metadata["gemma3.attention.sliding_window_pattern"] = GgufValue.Of(period);
            GgufWriter.Save(folder["other.gguf"], metadata, [.. file.Tensors.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Shape, () => file.Load(tensor.Name)))]);
        }

        using var model = AutoModelForCausalLM.FromGguf(folder["other.gguf"]);
        using var client = new LlamaCpp(folder["other.gguf"]);
        var ids = Tokenizer.Encode(Text);

        Logits.AssertNear(client.Logits(ids), Logits.Of(model, ids));
    }

    /// <summary>Whoever has token ids from elsewhere needs none; a file that says nothing at all of its vocabulary is refused.</summary>
    [Fact]
    public void A_file_without_a_vocabulary_opens_for_token_ids()
    {
        using var model = FamilyModels.Create("qwen3-moe");
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using var client = new LlamaCpp(folder["model.gguf"]);
        int[] ids = [3, 1, 4, 1, 5];

        Logits.AssertNear(client.Logits(ids), Logits.Of(model, ids));
        Assert.Contains("no vocabulary", Assert.Throws<TokenizerException>(() => PretrainedTokenizer.FromGguf(folder["model.gguf"])).Message);
    }

    public void Dispose() => folder.Dispose();

    private CausalLM Save(string name, Func<CausalLMConfig, CausalLMConfig>? change = null)
    {
        var model = FamilyModels.Create(name, change);
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32, Tokenizer);
        return model;
    }
}
