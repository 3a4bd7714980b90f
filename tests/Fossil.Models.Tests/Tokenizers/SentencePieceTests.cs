using System.Text;
using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Models.Tests.Tokenizers;

/// <summary>Llama 2's kind of vocabulary, small enough to work the ids out by hand, in its three files: tokenizer.json, tokenizer.model and GGUF.</summary>
public sealed class SentencePieceTests : IDisposable
{
    private const string PrependAndReplace = """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""";
    private const string Decoder = """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""";
    private const int FirstPiece = 3 + 256;

    // In the order of their scores, as SentencePiece trains them: longer tokens first, then the characters.
    private static readonly string[] Pieces = ["▁a", "▁t", "he", "▁the", "▁ab", "ab", "▁▁", "▁", "a", "b", "t", "h", "e", "x", "😀", "é"];

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Files => ["tokenizer.json", "tokenizer.model", "gguf"];

    [Theory, MemberData(nameof(Files))]
    public void Words_are_merged_by_rank_and_begin_with_their_space(string file)
    {
        var tokenizer = Load(file);
        Assert.Equal(["▁the", "▁a"], Spelled(tokenizer, "the a"));
        Assert.Equal(["▁t", "x"], Spelled(tokenizer, "tx"));
        // "▁a" outranks "ab", and "▁ab" is made of "▁a" and "b".
        Assert.Equal(["▁ab", "x", "ab"], Spelled(tokenizer, "abxab"));
        Assert.Equal(["▁▁", "▁a"], Spelled(tokenizer, "  a"));
        Assert.Equal(["▁", "😀", "é"], Spelled(tokenizer, "😀é"));
    }

    [Theory, MemberData(nameof(Files))]
    public void What_is_no_token_is_spelled_in_bytes(string file)
    {
        var tokenizer = Load(file);
        Assert.Equal(["▁", "<0x0A>", "<0xE2>", "<0x82>", "<0xAC>", "x", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>"], Spelled(tokenizer, "\n€x🙂"));
        Assert.Equal("\n€x🙂", tokenizer.Decode(tokenizer.Encode("\n€x🙂", addSpecialTokens: false)));
        // A private character of the text is not the one that stands for an emoji inside.
        Assert.Equal(4, tokenizer.Encode("\uE000", addSpecialTokens: false).Length);
        Assert.Equal("\uFFFD", tokenizer.Decode(tokenizer.Encode("\uD83D")[1..]));
    }

    [Theory, MemberData(nameof(Files))]
    public void Markers_are_tokens_and_what_follows_them_begins_with_a_space(string file)
    {
        var tokenizer = Load(file);
        Assert.Equal((1, 2, 0), (tokenizer.BosTokenId, tokenizer.EosTokenId, tokenizer.UnkTokenId));
        Assert.Equal(1, tokenizer.Encode("a")[0]);
        Assert.Equal(["▁a", "</s>", "▁the"], Spelled(tokenizer, "a</s>the"));
        Assert.Equal("a</s> the", tokenizer.Decode(tokenizer.Encode("a</s>the")[1..]));
        Assert.DoesNotContain(2, tokenizer.Encode("a</s>", parseSpecialTokens: false));
        Assert.Equal("a</s>", tokenizer.Decode(tokenizer.Encode("a</s>", parseSpecialTokens: false), skipSpecialTokens: true));
    }

    [Theory, MemberData(nameof(Files))]
    public void Any_text_round_trips_and_streams(string file)
    {
        var tokenizer = Load(file);
        var random = new Random(5);
        for (var i = 0; i < 300; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(6) switch
            {
                0 => char.ConvertFromUtf32(random.Next(0x80)),
                1 => char.ConvertFromUtf32(random.Next(0x10000, 0x110000)),
                2 => "😀",
                3 => " ",
                _ => "abthex"[random.Next(6)].ToString(),
            }));
            var ids = tokenizer.Encode(text, addSpecialTokens: false, parseSpecialTokens: false);
            Assert.Equal(text, tokenizer.Decode(ids));
            var stream = new StreamingDecoder(tokenizer);
            Assert.Equal(text, string.Concat(ids.Select(stream.Append)) + stream.Finish());
        }
    }

    [Theory]
    [InlineData("always", "a", "▁a")]
    [InlineData("always", " a", "▁a")]
    [InlineData("always", "</s>a", "</s>|▁a")]
    [InlineData("first", "a", "▁a")]
    [InlineData("first", "</s>a", "</s>|a")]
    [InlineData("never", "a", "a")]
    public void Metaspace_puts_a_space_where_its_scheme_says(string scheme, string text, string pieces)
    {
        var json = Json();
        json["normalizer"] = null;
        json["pre_tokenizer"] = new JsonObject { ["type"] = "Metaspace", ["replacement"] = "▁", ["prepend_scheme"] = scheme, ["split"] = false };
        Assert.Equal(pieces.Split('|'), Spelled(Load(json), text));
    }

    [Fact]
    public void Metaspace_may_keep_words_apart()
    {
        var json = Json();
        json["normalizer"] = null;
        json["pre_tokenizer"] = new JsonObject { ["type"] = "Metaspace", ["replacement"] = "▁", ["prepend_scheme"] = "always", ["split"] = true };
        Assert.Equal(["▁", "▁a"], Spelled(Load(json), "  a"));
    }

    [Fact]
    public void Without_bytes_the_unknown_token_stands_for_a_row_of_characters()
    {
        var json = Json();
        json["model"]!["byte_fallback"] = false;
        ((JsonArray)json["decoder"]!["decoders"]!).RemoveAt(1);
        var tokenizer = Load(json);
        Assert.Equal([0], tokenizer.Encode("€€", addSpecialTokens: false)[1..]);
        json["model"]!["fuse_unk"] = false;
        Assert.Equal([0, 0], Load(json).Encode("€€", addSpecialTokens: false)[1..]);
    }

    [Theory]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[{"type":"NFKC"}]}""", "NFKC")]
    [InlineData("normalizer", """{"type":"Prepend","prepend":"_"}""", "Prepend")]
    [InlineData("normalizer", "null", "no pre-tokenizer and no normalizer")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"String":","},"behavior":"MergedWithPrevious","invert":false}""", "Split")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace","prepend_scheme":"sometimes"}""", "sometimes")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace","replacement":"_"}""", "another character")]
    [InlineData("decoder", "null", "no decoder")]
    [InlineData("decoder", """{"type":"Fuse"}""", "does not replace")]
    [InlineData("decoder", """{"type":"WordPiece"}""", "WordPiece")]
    public void Other_forms_are_named_errors(string member, string value, string reason)
    {
        var json = Json();
        json[member] = JsonNode.Parse(value);
        Assert.Contains(reason, Assert.Throws<TokenizerException>(() => Load(json)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, 3, 1, "Unigram")]
    [InlineData(2, 24, 1, "treat_whitespace_as_suffix")]
    [InlineData(3, 4, 1, "remove_extra_whitespaces")]
    [InlineData(3, 5, 0, "escape_whitespaces")]
    public void Other_models_are_named_errors(int message, int field, int value, string reason)
    {
        File.WriteAllBytes(folder["tokenizer.model"], Model((message, field, value)));
        Assert.Contains(reason, Assert.Throws<TokenizerException>(() => PretrainedTokenizer.FromPretrained(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_model_file_is_a_named_error_or_another_vocabulary()
    {
        var whole = Model();
        var random = new Random(3);
        for (var i = 0; i < 400; i++)
        {
            var damaged = whole.AsSpan(0, i % 2 == 0 ? whole.Length : random.Next(whole.Length)).ToArray();
            for (var change = random.Next(1, 4); change > 0 && damaged.Length > 0; change--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(folder["tokenizer.model"], damaged);
            try
            {
                PretrainedTokenizer.FromPretrained(folder.Path).Encode("the a");
            }
            catch (TokenizerException exception)
            {
                Assert.Contains("tokenizer.model", exception.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void The_configuration_beside_a_model_file_has_the_last_word()
    {
        File.WriteAllBytes(folder["tokenizer.model"], Model());
        File.WriteAllText(folder["tokenizer_config.json"], """{"add_bos_token":false,"added_tokens_decoder":{"300":{"content":"<|im_end|>","special":true}},"eos_token":"<|im_end|>"}""");
        var tokenizer = PretrainedTokenizer.FromPretrained(folder.Path);
        Assert.Equal((1, 300), (tokenizer.BosTokenId, tokenizer.EosTokenId));
        Assert.Equal([FirstPiece, 300], tokenizer.Encode("a<|im_end|>"));
    }

    [Theory, MemberData(nameof(Files))]
    public void Exported_it_encodes_alike(string file)
    {
        var tokenizer = Load(file);
        var metadata = new GgufMetadata();
        GgufTokenizerWriter.Write(tokenizer.Definition, FirstPiece + Pieces.Length, metadata);
        var target = Directory.CreateDirectory(folder["exported"]).FullName;
        foreach (var (name, write) in HuggingFaceTokenizerWriter.Files(tokenizer.Definition))
        {
            using var stream = File.Create(Path.Combine(target, name));
            write(stream);
        }

        foreach (var again in new[] { new PretrainedTokenizer(GgufTokenizer.Read(metadata)), PretrainedTokenizer.FromPretrained(target) })
        {
            foreach (var text in new[] { "the a", " the</s>ab€ abx\n", "😀  é" }) Assert.Equal(tokenizer.Encode(text), again.Encode(text));
            Assert.Equal((1, 2, 0), (again.BosTokenId, again.EosTokenId, again.UnkTokenId));
        }
    }

    [Fact]
    public void A_conversation_goes_on_without_a_second_space()
    {
        var json = Json();
        foreach (var piece in new[] { "[", "]", "I", "N", "S", "T", "/" }) json["model"]!["vocab"]![piece] = ((JsonObject)json["model"]!["vocab"]!).Count;
        File.WriteAllText(folder["tokenizer_config.json"], """{"bos_token":"<s>","eos_token":"</s>"}""");
        File.WriteAllText(folder["chat_template.jinja"], "{% for m in messages %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' if m.role == 'user' else ' ' + m.content.strip() + ' ' + eos_token }}{% endfor %}");
        var tokenizer = Load(json);
        ConversationTurn[] turns = [new("user", "the a"), new("assistant", "ab")];
        var (ids, learned) = ChatTemplate.Of(tokenizer).EncodeForTraining(tokenizer, turns);
        Assert.Equal(["▁ab", "▁", "</s>"], ids.Zip(learned).Where(pair => pair.Second).Select(pair => Spelling(tokenizer, pair.First)));
        Assert.Equal(["<s>", "▁", "["], ids.Take(3).Select(id => Spelling(tokenizer, id)));
    }

    public void Dispose() => folder.Dispose();

    private static string[] Spelled(PretrainedTokenizer tokenizer, string text) => [.. tokenizer.Encode(text, addSpecialTokens: false).Select(id => Spelling(tokenizer, id))];

    private static string Spelling(PretrainedTokenizer tokenizer, int id) =>
        tokenizer.AddedTokens.FirstOrDefault(token => token.Id == id)?.Content ?? tokenizer.Definition.Vocabulary.Single(token => token.Value == id).Key;

    private static string Text(int id) => id switch { 0 => "<unk>", 1 => "<s>", 2 => "</s>", < FirstPiece => $"<0x{id - 3:X2}>", _ => Pieces[id - FirstPiece] };

    private static int TypeOf(int id) => id switch { 0 => 2, 1 or 2 => 3, < FirstPiece => 6, _ => 1 };

    private static JsonObject Json()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < FirstPiece + Pieces.Length; id++) vocabulary[Text(id)] = id;
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray([.. Enumerable.Range(0, 3).Select(id => (JsonNode)new JsonObject { ["id"] = id, ["content"] = Text(id), ["special"] = true })]),
            ["normalizer"] = JsonNode.Parse(PrependAndReplace),
            ["pre_tokenizer"] = null,
            ["post_processor"] = JsonNode.Parse("""{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}"""),
            ["decoder"] = JsonNode.Parse(Decoder),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["unk_token"] = "<unk>", ["fuse_unk"] = true, ["byte_fallback"] = true, ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("▁ a", "▁ t", "h e", "▁t he", "▁a b", "▁ ab", "a b", "▁ ▁"),
            },
        };
    }

    private static byte[] Model(params (int Message, int Field, int Value)[] changes)
    {
        byte[] Number(int field, int value) => [.. Varint((field << 3) | 0), .. Varint(value)];
        byte[] Bytes(int field, byte[] value) => [.. Varint((field << 3) | 2), .. Varint(value.Length), .. value];
        byte[] Changed(int message) => [.. changes.Where(change => change.Message == message).SelectMany(change => Number(change.Field, change.Value))];
        var pieces = Enumerable.Range(0, FirstPiece + Pieces.Length).SelectMany(id => Bytes(1,
            [.. Bytes(1, Encoding.UTF8.GetBytes(Text(id))), (2 << 3) | 5, .. BitConverter.GetBytes(Score(id)), .. Number(3, TypeOf(id))]));
        return [.. pieces, .. Bytes(2, [.. Number(3, 2), .. Number(35, 1), .. Changed(2)]), .. Bytes(3, [.. Bytes(1, "identity"u8.ToArray()), .. Number(3, 1), .. Number(4, 0), .. Changed(3)])];

        static byte[] Varint(int value)
        {
            var bytes = new List<byte>();
            for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
            return [.. bytes, (byte)value];
        }
    }

    private static float Score(int id) => id < FirstPiece ? 0 : FirstPiece - id;

    private PretrainedTokenizer Load(JsonObject json)
    {
        File.WriteAllText(folder["tokenizer.json"], json.ToJsonString());
        return PretrainedTokenizer.FromPretrained(folder.Path);
    }

    private PretrainedTokenizer Load(string file)
    {
        if (file == "gguf")
        {
            var all = Enumerable.Range(0, FirstPiece + Pieces.Length).ToArray();
            return new PretrainedTokenizer(GgufTokenizer.Read(new GgufMetadata
            {
                ["tokenizer.ggml.model"] = GgufValue.Of("llama"),
                ["tokenizer.ggml.tokens"] = GgufValue.OfArray(all.Select(Text).ToArray()),
                ["tokenizer.ggml.scores"] = GgufValue.OfArray(all.Select(Score).ToArray()),
                ["tokenizer.ggml.token_type"] = GgufValue.OfArray(all.Select(TypeOf).ToArray()),
                ["tokenizer.ggml.bos_token_id"] = GgufValue.Of(1u),
                ["tokenizer.ggml.eos_token_id"] = GgufValue.Of(2u),
                ["tokenizer.ggml.unknown_token_id"] = GgufValue.Of(0u),
            }));
        }

        if (file == "tokenizer.json")
        {
            File.WriteAllText(folder["tokenizer_config.json"], """{"bos_token":"<s>","eos_token":"</s>"}""");
            return Load(Json());
        }

        File.WriteAllBytes(folder["tokenizer.model"], Model());
        return PretrainedTokenizer.FromPretrained(folder.Path);
    }
}
