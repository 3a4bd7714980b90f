using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Models.Tests.Tokenizers;

/// <summary>Small tokenizers whose ids can be worked out by hand: 256 bytes, then what each test adds.</summary>
public sealed class PretrainedTokenizerTests : IDisposable
{
    private const string ByteLevel = """{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""";
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Merges_apply_by_rank_within_words()
    {
        var tokenizer = Load(Model(["ab", "bc", "abc", "Ġa"], ["b c", "a b", "a bc", "Ġ a"]));
        Assert.Equal(["abc"], Pieces(tokenizer, "abc"));
        Assert.Equal(["ab", "x"], Pieces(tokenizer, "abx"));
        Assert.Equal(["ab", " ", "abc"], Pieces(tokenizer, "ab abc"));
        Assert.Equal(["x", " a", "x"], Pieces(tokenizer, "x ax"));
    }

    [Fact]
    public void Merges_may_be_pairs()
    {
        var json = Model(["ab"], []);
        json["model"]!["merges"] = new JsonArray(new JsonArray("a", "b"));
        Assert.Equal(["ab", "c"], Pieces(Load(json), "abc"));
    }

    [Fact]
    public void A_word_that_is_a_token_is_taken_whole_where_merges_are_ignored()
    {
        var json = Model(["abc"], []);
        Assert.Equal(["a", "b", "c"], Pieces(Load(json), "abc"));
        json["model"]!["ignore_merges"] = true;
        Assert.Equal(["abc"], Pieces(Load(json), "abc"));
    }

    [Theory]
    [InlineData("gpt-2", "It's 1234  x\n\ty !?", "It|'s| 1234| | x|\n|\t|y| !?")]
    [InlineData("smollm", "It's 1234  x\n\ty !?", "It|'s| |1|2|3|4| | x|\n|\t|y| !?")]
    [InlineData("llama-bpe", "It'S 12345  x\n\ty !?\n", "It|'S| |123|45| | x|\n|\ty| !?\n")]
    [InlineData("qwen2", "It'S 123  x\n\ty !?\n", "It|'S| |1|2|3| | x|\n|\ty| !?\n")]
    [InlineData("tekken", "HelloWorld don't 12 a/b\n", "Hello|World| don|'t| |1|2| a|/b|\n")]
    [InlineData("smollm", "𝕳𝖊𝖑 𝟙𝟚 🙂🙃", "𝕳𝖊𝖑| |𝟙|𝟚| 🙂🙃")]
    [InlineData("tekken", "𝕳𝖊𝕳", "𝕳𝖊|𝕳")]
    public void Text_is_cut_into_words(string name, string text, string words)
    {
        using var json = JsonDocument.Parse(NamedPreTokenizer.Find(name)!.Json);
        Assert.Equal(words.Split('|'), new PreTokenizer(json.RootElement, name).Split(text));
    }

    [Fact]
    public void Each_named_pre_tokenizer_is_recognised_by_its_json()
    {
        foreach (var name in NamedPreTokenizer.Names.Split(", "))
        {
            using var json = JsonDocument.Parse(NamedPreTokenizer.Find(name)!.Json);
            Assert.Equal(name, NamedPreTokenizer.FindSame(new PreTokenizer(json.RootElement, name))!.Name);
        }
    }

    [Fact]
    public void Added_tokens_are_found_longest_first_and_strip_as_they_say()
    {
        var json = Model([], []);
        json["added_tokens"] = new JsonArray(Added(300, "<a>"), Added(301, "<a><b>"), Added(302, "<mask>", strip: true), Added(303, "word", special: false, singleWord: true));
        var tokenizer = Load(json);
        Assert.Equal([301, 300], tokenizer.Encode("<a><b><a>"));
        Assert.Equal(["x", "<mask>", "y"], Pieces(tokenizer, "x <mask> \ny"));
        Assert.Equal([303], tokenizer.Encode("word"));
        Assert.Equal(5, tokenizer.Encode("words").Length);
        Assert.Equal([303], tokenizer.Encode("word", parseSpecialTokens: false));
        Assert.Equal(3, tokenizer.Encode("<a>", parseSpecialTokens: false).Length);
        Assert.Equal("x", tokenizer.Decode(tokenizer.Encode("<a>x"), skipSpecialTokens: true));
    }

    [Fact]
    public void A_template_says_what_is_put_around_a_text()
    {
        var json = Model([], []);
        json["added_tokens"] = new JsonArray(Added(300, "<s>"), Added(301, "</s>"));
        json["post_processor"] = JsonNode.Parse("""
            {"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
            "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
            "special_tokens":{"<s>":{"id":"<s>","ids":[300],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[301],"tokens":["</s>"]}}}]}
            """);
        var tokenizer = Load(json);
        Assert.Equal(["<s>", "x", "</s>"], Pieces(tokenizer, "x"));
        Assert.Single(tokenizer.Encode("x", addSpecialTokens: false));
    }

    [Fact]
    public void The_configuration_names_markers_and_the_template()
    {
        var json = Model([], []);
        json["added_tokens"] = new JsonArray(Added(300, "<s>"), Added(301, "</s>"));
        File.WriteAllText(folder["tokenizer_config.json"], """{"bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true,"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}""");
        var tokenizer = Load(json);
        Assert.Equal((300, 301, null, "d"), (tokenizer.BosTokenId, tokenizer.EosTokenId, tokenizer.PadTokenId, tokenizer.ChatTemplate));
        Assert.Equal([300], tokenizer.Encode(""));
        File.WriteAllText(folder["chat_template.jinja"], "from a file");
        Assert.Equal("from a file", PretrainedTokenizer.FromPretrained(folder.Path).ChatTemplate);
        Assert.Equal(["bos_token", "eos_token"], tokenizer.SpecialTokens.Keys);
        Assert.Equal(["<s>", "</s>"], tokenizer.SpecialTokens.Values);
    }

    [Fact]
    public void Chat_templates_come_from_every_place_and_go_on_to_folders_and_gguf()
    {
        var json = Model([], []);
        json["added_tokens"] = new JsonArray(Added(300, "<s>"), Added(301, "</s>"));
        File.WriteAllText(folder["chat_template.json"], """{"chat_template":"of a processor"}""");
        Assert.Equal("of a processor", Load(json).ChatTemplate);
        File.WriteAllText(folder["tokenizer_config.json"], """{"eos_token":"</s>","chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}""");
        Assert.Equal([("tool_use", "t"), ("default", "d")], Templates(Load(json)));
        Directory.CreateDirectory(folder["additional_chat_templates"]);
        File.WriteAllText(Path.Combine(folder["additional_chat_templates"], "rag.jinja"), "{{ r }}\n");
        Assert.Equal([("rag", "{{ r }}\n"), ("tool_use", "t"), ("default", "d")], Templates(Load(json)));
        File.WriteAllText(folder["chat_template.jinja"], "from a file\n");
        var tokenizer = Load(json);
        Assert.Equal([("default", "from a file\n"), ("rag", "{{ r }}\n")], Templates(tokenizer));

        var metadata = new GgufMetadata();
        GgufTokenizerWriter.Write(tokenizer.Definition, 302, metadata);
        var fromGguf = new PretrainedTokenizer(GgufTokenizer.Read(metadata));
        Assert.Equal(Templates(tokenizer), Templates(fromGguf));
        Assert.Equal("</s>", fromGguf.SpecialTokens["eos_token"]);

        using var model = new LlamaForCausalLM(new LlamaConfig { VocabSize = 302, HiddenSize = 4, IntermediateSize = 4, NumHiddenLayers = 1, NumAttentionHeads = 1, NumKeyValueHeads = 1, HeadDim = 4 });
        using var target = new TemporaryFolder();
        foreach (var source in new[] { tokenizer, fromGguf })
        {
            model.SavePretrained(target.Path, tokenizer: source);
            Assert.Equal(Templates(tokenizer), Templates(PretrainedTokenizer.FromPretrained(target.Path)));
        }

        Assert.Empty(Directory.EnumerateFiles(target["additional_chat_templates"]));
    }

    private static (string Name, string Text)[] Templates(PretrainedTokenizer tokenizer) => [.. tokenizer.ChatTemplates.Select(template => (template.Key, template.Value))];

    [Theory]
    [InlineData("""{"model":{"type":"Unigram","vocab":[],"merges":[]}}""", "Unigram")]
    [InlineData("""{"model":{"type":"BPE","byte_fallback":true,"vocab":{},"merges":[]}}""", "no pre-tokenizer")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}""", "no pre-tokenizer")]
    [InlineData("""{"pre_tokenizer":{"type":"Metaspace"},"model":{"vocab":{"a":0},"merges":[]}}""", "decoder")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":-1},"merges":[]}}""", "id of 'a'")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":0},"merges":["a b"]}}""", "merges")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":0},"merges":["ab"]}}""", "merges")]
    [InlineData("""{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"a++("},"behavior":"Isolated","invert":false},{"type":"ByteLevel"}]},"model":{"vocab":{"a":0},"merges":[]}}""", "expression")]
    [InlineData("""{"normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":0},"merges":[]}}""", "Lowercase")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"}}""", "model")]
    [InlineData("""[""", "JSON")]
    public void What_is_not_supported_is_a_named_error(string json, string reason)
    {
        File.WriteAllText(folder["tokenizer.json"], json);
        var exception = Assert.Throws<TokenizerException>(() => PretrainedTokenizer.FromPretrained(folder.Path));
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_tokenizer_is_a_named_error() =>
        Assert.Contains("tokenizer.json", Assert.Throws<TokenizerException>(() => PretrainedTokenizer.FromPretrained(folder.Path)).Message, StringComparison.Ordinal);

    [Fact]
    public void Any_text_round_trips()
    {
        var tokenizer = Load(Model(["ab", "Ġa"], ["a b", "Ġ a"]));
        var random = new Random(5);
        for (var i = 0; i < 500; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => char.ConvertFromUtf32(random.Next(4) switch { 0 => random.Next(0x80), 1 => random.Next(0xD800), 2 => random.Next(0xE000, 0x10000), _ => random.Next(0x10000, 0x110000) })));
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    public void Dispose() => folder.Dispose();

    private static string[] Pieces(PretrainedTokenizer tokenizer, string text) => [.. tokenizer.Encode(text).Select(id => tokenizer.Decode([id]))];

    private static JsonObject Added(int id, string content, bool special = true, bool strip = false, bool singleWord = false) =>
        new() { ["id"] = id, ["content"] = content, ["special"] = special, ["lstrip"] = strip, ["rstrip"] = strip, ["single_word"] = singleWord };

    private static JsonObject Model(string[] tokens, string[] merges)
    {
        var vocabulary = new JsonObject();
        for (var value = 0; value < 256; value++) vocabulary[Enumerable.Range(0, 512).Select(c => ((char)c).ToString()).Single(c => ByteLevelAlphabet.Read(c) is [var b] && b == value)] = value;
        foreach (var token in tokens) vocabulary[token] = vocabulary.Count;
        return new JsonObject
        {
            ["pre_tokenizer"] = JsonNode.Parse(ByteLevel),
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. merges.Select(m => (JsonNode)m)]) },
        };
    }

    private PretrainedTokenizer Load(JsonObject json)
    {
        File.WriteAllText(folder["tokenizer.json"], json.ToJsonString());
        return PretrainedTokenizer.FromPretrained(folder.Path);
    }
}
