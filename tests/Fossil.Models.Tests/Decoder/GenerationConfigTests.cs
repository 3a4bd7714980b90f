using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Chat;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Where a text ends, and how tokens are chosen by default: read from every kind of file, and written again.</summary>
public sealed class GenerationConfigTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly TorchSharp.DisposeScope scope = NewDisposeScope();

    [Theory]
    [InlineData("{}", 0, null, null, 1)]
    [InlineData("""{"temperature":0.6,"top_k":20,"top_p":0.9}""", 0, null, null, 1)]
    [InlineData("""{"do_sample":true}""", 1, 50, null, 1)]
    [InlineData("""{"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"repetition_penalty":1.05}""", 0.6, 20, 0.95, 1.05)]
    [InlineData("""{"do_sample":true,"top_k":0,"top_p":1.0,"temperature":null}""", 1, null, 1.0, 1)]
    [InlineData("""{"do_sample":false,"repetition_penalty":1.1}""", 0, null, null, 1.1)]
    public void Sampling_is_what_transformers_would_do(string json, double temperature, int? topK, double? topP, double penalty)
    {
        var options = Load(json).ToOptions();
        Assert.Equal((temperature, topK, topP, penalty), (options.Temperature, options.TopK, options.TopP, options.RepetitionPenalty));
        options.Validate();
    }

    [Theory]
    [InlineData("[]", "object")]
    [InlineData("""{"do_sample":1}""", "do_sample")]
    [InlineData("""{"top_k":2.5}""", "top_k")]
    [InlineData("""{"top_p":1.5}""", "top_p")]
    [InlineData("""{"min_p":1.5}""", "min_p")]
    [InlineData("""{"temperature":-1}""", "temperature")]
    [InlineData("""{"eos_token_id":"2"}""", "eos_token_id")]
    [InlineData("{", "JSON")]
    public void A_wrong_file_is_named_with_its_field(string json, string expected)
    {
        var message = Assert.Throws<CheckpointException>(() => Load(json)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains(GenerationConfig.FileName, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_that_the_vocabulary_does_not_have_are_none()
    {
        var generation = Load("""{"eos_token_id":[1,-1,96,95,1],"pad_token_id":-1,"bos_token_id":4294967295}""");
        Assert.Equal([1, 95], generation.EosTokenIds);
        Assert.Equal((null, null), (generation.PadTokenId, generation.BosTokenId));

        using var model = TinyModels.Create(TinyModels.Config with { EosTokenIds = [5], PadTokenId = 7 });
        model.SavePretrained(folder.Path);
        var config = JsonNode.Parse(File.ReadAllText(folder["config.json"]))!;
        config["pad_token_id"] = -1;
        config["eos_token_id"] = new JsonArray(5, 400);
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        using var again = LlamaForCausalLM.FromPretrained(folder.Path);
        Assert.Equal([5], again.Config.EosTokenIds);
        Assert.Null(again.Config.PadTokenId);

        // -1 as an older version wrote it, as does a converter that does not look.
        var metadata = new GgufMetadata { ["tokenizer.ggml.padding_token_id"] = GgufValue.Of(uint.MaxValue), ["tokenizer.ggml.eos_token_id"] = GgufValue.Of(96u) };
        model.SaveGguf(folder["a.gguf"], metadata: metadata);
        using var fromGguf = LlamaForCausalLM.FromGguf(folder["a.gguf"]);
        Assert.Empty(fromGguf.Config.EosTokenIds.Except([5]));
        Assert.Null(fromGguf.Config.PadTokenId);
    }

    [Fact]
    public void The_file_is_carried_over_and_another_models_is_not_left()
    {
        using var model = TinyModels.Create(TinyModels.Config with { EosTokenIds = [5] });
        model.SavePretrained(folder.Path);
        var json = JsonNode.Parse("""{"do_sample":true,"temperature":0.6,"eos_token_id":[7,9],"min_p":0.1,"transformers_version":"4.51.0"}""")!;
        File.WriteAllText(folder[GenerationConfig.FileName], json.ToJsonString());
        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path);
        Assert.Equal([7, 9], loaded.Config.StopTokenIds);
        Assert.Equal(0.6, loaded.GenerationDefaults.Temperature);

        using var target = new TemporaryFolder();
        loaded.SavePretrained(target.Path);
        Assert.True(JsonNode.DeepEquals(json, JsonNode.Parse(File.ReadAllText(target[GenerationConfig.FileName]))));
        model.SavePretrained(target.Path);
        Assert.False(File.Exists(target[GenerationConfig.FileName]));
    }

    [Theory]
    [InlineData("""{"do_sample":true}""", 1, 50, 1.0, 0.0, 1)]
    [InlineData("""{"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"min_p":0.1,"repetition_penalty":1.05}""", 0.6, 20, 0.95, 0.1, 1.05)]
    [InlineData("""{"do_sample":true,"temperature":0.7,"top_k":0}""", 0.7, null, 1.0, 0.0, 1)]
    [InlineData("""{"temperature":0.6,"repetition_penalty":1.1}""", 0, null, null, null, 1.1)]
    public void Sampling_goes_through_a_gguf_file(string json, double temperature, int? topK, double? topP, double? minP, double penalty)
    {
        using var model = TinyModels.Create(TinyModels.Config with { EosTokenIds = [5, 6], Generation = Load(json) with { EosTokenIds = [5, 6] } });
        model.SaveGguf(folder["a.gguf"]);
        using var again = LlamaForCausalLM.FromGguf(folder["a.gguf"]);

        Assert.Equal((temperature, topK, topP, minP, penalty), (again.GenerationDefaults.Temperature, again.GenerationDefaults.TopK, again.GenerationDefaults.TopP, again.GenerationDefaults.MinP, again.GenerationDefaults.RepetitionPenalty));
        Assert.Equal([5, 6], again.Config.StopTokenIds);
        Assert.Equal([5, 6], again.Config.Generation!.EosTokenIds);
    }

    [Fact]
    public void A_checkpoint_that_says_nothing_of_generation_writes_nothing_of_it()
    {
        using var model = TinyModels.Create();
        model.SaveGguf(folder["a.gguf"]);
        using var again = LlamaForCausalLM.FromGguf(folder["a.gguf"]);
        Assert.Null(again.Config.Generation);
    }

    [Theory]
    [InlineData("top_k", -1, 1, null)]
    [InlineData("top_k", 20, 1, 20)]
    [InlineData("temp", 0.0f, 0, null)]
    [InlineData("temp", 0.25, 0.25, null)]
    public void Sampling_of_other_writers_is_read(string key, object value, double temperature, int? topK)
    {
        using var model = TinyModels.Create();
        model.SaveGguf(folder["a.gguf"], metadata: new GgufMetadata { ["general.sampling." + key] = GgufValue.Of(value) });
        using var again = LlamaForCausalLM.FromGguf(folder["a.gguf"]);
        Assert.Equal((temperature, topK), (again.GenerationDefaults.Temperature, again.GenerationDefaults.TopK));
    }

    [Fact]
    public void Penalties_of_no_tokens_are_none_and_wrong_values_are_named()
    {
        using var model = TinyModels.Create();
        model.SaveGguf(folder["a.gguf"], metadata: new GgufMetadata { ["general.sampling.penalty_repeat"] = GgufValue.Of(1.5f), ["general.sampling.penalty_last_n"] = GgufValue.Of(0) });
        using (var again = LlamaForCausalLM.FromGguf(folder["a.gguf"])) Assert.Equal((0, 1), (again.GenerationDefaults.Temperature, again.GenerationDefaults.RepetitionPenalty));
        model.SaveGguf(folder["a.gguf"], metadata: new GgufMetadata { ["general.sampling.top_p"] = GgufValue.Of(1.5f) });
        Assert.Contains("general.sampling.top_p", Assert.Throws<GgufException>(() => LlamaForCausalLM.FromGguf(folder["a.gguf"])).Message);
    }

    [Fact]
    public void Min_p_leaves_out_what_is_far_less_likely_than_the_likeliest()
    {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.15f), MathF.Log(0.05f)];
        Assert.Equal([0, 1, 2, 3], Drawn(minP: 0.09));
        Assert.Equal([0, 1, 2], Drawn(minP: 0.29));
        Assert.Equal([0, 1], Drawn(minP: 0.5));
        Assert.Equal([0], Drawn(minP: 1));

        int[] Drawn(double minP)
        {
            var sampler = new TokenSampler(new GenerationOptions { Temperature = 1, MinP = minP, Seed = 1 }, []);
            return [.. Enumerable.Range(0, 500).Select(_ => sampler.Next([.. logits])).Distinct().Order()];
        }
    }

    [Fact]
    public void Generation_stops_at_the_checkpoints_ids_and_at_further_ones()
    {
        using var model = TinyModels.Create();
        int[] prompt = [3, 4, 5];
        var text = model.Generate(prompt, new GenerationOptions { MaxNewTokens = 12 });
        int[] distinct = [.. text.Distinct()];
        Assert.True(distinct.Length > 2, "The text repeats itself.");
        using var stopping = TinyModels.Create(TinyModels.Config with { EosTokenIds = [distinct[^1]], Generation = new GenerationConfig { EosTokenIds = [distinct[1]] } });
        Assert.Equal(distinct[1], stopping.Generate(prompt)[^1]);
        Assert.Equal(distinct[0], stopping.Generate(prompt, new GenerationOptions { AdditionalStopTokens = [distinct[0]] })[^1]);
        Assert.Equal(distinct[^1], stopping.Generate(prompt, new GenerationOptions { StopTokens = [distinct[^1]], MaxNewTokens = 12 })[^1]);
    }

    [Theory]
    [InlineData(new[] { 1, 8, 4 }, 1)]
    [InlineData(new[] { 8, 4 }, 1)]
    [InlineData(new[] { 1, 8, 4, 6, 12 }, 4)]
    [InlineData(new[] { 11, 2 }, 2)]
    public void No_end_token_is_lost_on_the_way_to_gguf_and_back(int[] ends, int eos)
    {
        // 10 and 11 have texts that llama.cpp knows.
        var plain = GoldenChat.Tokenizer([]).Definition;
        var tokenizer = new PretrainedTokenizer(plain with
        {
            Vocabulary = plain.Vocabulary.Where(token => token.Value is not (10 or 11)).ToDictionary(token => token.Key, token => token.Value),
            AddedTokens = [new AddedToken(10, "<|im_end|>", Special: true), new AddedToken(11, "<|endoftext|>", Special: true)],
            EosTokenId = eos,
        });
        using var model = TinyModels.Create(TinyModels.Config with { VocabSize = 256, EosTokenIds = ends });
        model.SaveGguf(folder["a.gguf"], tokenizer: tokenizer);
        using var again = LlamaForCausalLM.FromGguf(folder["a.gguf"]);
        Assert.Equal(eos, again.Config.EosTokenIds[0]);
        Assert.Equal(ends.Append(eos).Append(10).Append(11).Distinct().Order(), again.Config.EosTokenIds.Order());

        again.SavePretrained(folder["hf"]);
        using var folderAgain = LlamaForCausalLM.FromPretrained(folder["hf"]);
        Assert.Equal(again.Config.EosTokenIds, folderAgain.Config.EosTokenIds);
    }

    [Fact]
    public void Harmonys_end_of_a_message_ends_no_answer()
    {
        var metadata = new GgufMetadata { ["tokenizer.ggml.tokens"] = GgufValue.OfArray(new[] { "a", "<|end|>", "<|return|>", "<|call|>" }), ["tokenizer.ggml.eom_token_id"] = GgufValue.Of(0u) };
        Assert.Equal([0, 2, 3], GgufTokenIds.FindEnds(metadata, 4));
        metadata["tokenizer.ggml.tokens"] = GgufValue.OfArray(new[] { "a", "<|end|>", "<|return|>" });
        Assert.Equal([0, 1, 2], GgufTokenIds.FindEnds(metadata, 3));
    }

    [SkippableFact]
    public void A_chat_ends_its_turn_though_the_file_names_another_end()
    {
        using var file = GgufFile.Open(SmolLM2.Model);
        using var model = LlamaForCausalLM.FromGguf(file);
        var tokenizer = PretrainedTokenizer.FromGguf(file);
        var wrong = new PretrainedTokenizer(tokenizer.Definition with { EosTokenId = 0 });
        var template = ChatTemplate.Of(wrong);
        Assert.Equal([2, 0], template.StopTokens(wrong));
        var prompt = template.Encode(wrong, [new ConversationTurn("user", "Say hello.")], addGenerationPrompt: true);
        var answer = model.Generate(prompt, new GenerationOptions { MaxNewTokens = 40, StopTokens = [0], AdditionalStopTokens = template.StopTokens(wrong) });
        Assert.Equal(2, answer[^1]);

        var metadata = new GgufMetadata();
        GgufTokenizerWriter.Write(wrong.Definition, 49152, metadata);
        GgufTokenIds.Write(model.Config with { EosTokenIds = [0] }, metadata);
        Assert.Equal(0, GgufTokenIds.Find(metadata, "tokenizer.ggml.eos_token_id", 49152));
        Assert.Contains(2, GgufTokenIds.FindEnds(metadata, 49152));
    }

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    private GenerationConfig Load(string json)
    {
        File.WriteAllText(folder[GenerationConfig.FileName], json);
        return GenerationConfig.Load(folder[GenerationConfig.FileName], 96);
    }
}
