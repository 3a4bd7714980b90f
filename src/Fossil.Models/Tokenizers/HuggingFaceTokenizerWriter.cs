using System.Text.Encodings.Web;
using System.Text.Json.Nodes;
using Fossil.Serialization;

namespace Fossil.Models.Tokenizers;

/// <summary>Writes a tokenizer as <c>tokenizer.json</c> and <c>tokenizer_config.json</c>, for those that come from a GGUF file.</summary>
internal static class HuggingFaceTokenizerWriter
{
    /// <summary>The files of a tokenizer: copies of those it was loaded from, or new ones where it comes from a GGUF file.</summary>
    public static IReadOnlyList<(string Name, Action<Stream> Write)> Files(TokenizerDefinition definition)
    {
        if (definition.SourceFolder is not { } source) return [(HuggingFaceTokenizer.FileName, Writer(Tokenizer(definition))), (HuggingFaceTokenizer.ConfigFileName, Writer(Config(definition)))];
        return AtomicFolder.Read(source, pathOf => HuggingFaceTokenizer.FileNames.Where(name => File.Exists(pathOf(name))).Select(name => (name, Copy(File.ReadAllBytes(pathOf(name))))).ToList());

        static Action<Stream> Copy(byte[] content) => stream => stream.Write(content);
    }

    private static Action<Stream> Writer(JsonObject json) => stream => JsonFile.Write(stream, json, JavaScriptEncoder.UnsafeRelaxedJsonEscaping);

    private static JsonObject Tokenizer(TokenizerDefinition definition)
    {
        var vocabulary = new JsonObject();
        foreach (var (spelling, id) in AllTokens(definition).OrderBy(token => token.Value)) vocabulary[spelling] = id;
        var rules = definition.SentencePiece;
        var (normalizer, preTokenizer, decoder) = rules is not null ? SentencePieceJson.Write(rules) : ByteLevel(definition);
        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. definition.AddedTokens.OrderBy(token => token.Id).Select(Added)]),
            ["normalizer"] = normalizer,
            ["pre_tokenizer"] = preTokenizer,
            ["post_processor"] = PostProcessor(definition),
            ["decoder"] = decoder,
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = rules is null ? null : definition.TextOf(definition.UnkTokenId),
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = rules?.FuseUnknown == true,
                ["byte_fallback"] = rules?.ByteFallback == true,
                ["ignore_merges"] = definition.IgnoreMerges,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. definition.Merges.Select(merge => (JsonNode)merge)]),
            },
        };
    }

    private static (JsonObject? Normalizer, JsonNode? PreTokenizer, JsonObject Decoder) ByteLevel(TokenizerDefinition definition) =>
    (
        definition.NormalizeC ? new JsonObject { ["type"] = "NFC" } : null,
        definition.PreTokenizer!.DeepClone(),
        new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true });

    private static JsonObject Config(TokenizerDefinition definition)
    {
        var decoder = new JsonObject();
        foreach (var token in definition.AddedTokens.OrderBy(token => token.Id))
        {
            var described = Added(token);
            described.Remove("id");
            decoder[token.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)] = described;
        }

        return new JsonObject
        {
            ["add_prefix_space"] = false,
            ["added_tokens_decoder"] = decoder,
            ["bos_token"] = definition.TextOf(definition.BosTokenId),
            ["chat_template"] = ChatTemplateFiles.ToJson(definition.ChatTemplates),
            ["clean_up_tokenization_spaces"] = false,
            ["eos_token"] = definition.TextOf(definition.EosTokenId),
            ["pad_token"] = definition.TextOf(definition.PadTokenId),
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["unk_token"] = definition.TextOf(definition.UnkTokenId),
        };
    }

    // Markers are listed among the model's tokens too, as transformers counts on.
    private static IEnumerable<KeyValuePair<string, int>> AllTokens(TokenizerDefinition definition) =>
        definition.Vocabulary.Concat(definition.AddedTokens.Where(token => !definition.Vocabulary.ContainsKey(token.Content)).Select(token => KeyValuePair.Create(token.Content, token.Id)));

    private static JsonObject Added(AddedToken token) => new()
    {
        ["id"] = token.Id,
        ["content"] = token.Content,
        ["single_word"] = token.SingleWord,
        ["lstrip"] = token.StripLeft,
        ["rstrip"] = token.StripRight,
        ["normalized"] = false,
        ["special"] = token.Special,
    };

    private static JsonObject? PostProcessor(TokenizerDefinition definition)
    {
        var byteLevel = definition.SentencePiece is null ? new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = false, ["use_regex"] = true } : null;
        if (definition.Prefix.Count + definition.Suffix.Count == 0) return byteLevel;
        var tokens = new JsonObject();
        JsonNode Piece(int id)
        {
            var content = definition.AddedTokens.First(token => token.Id == id).Content;
            tokens[content] = new JsonObject { ["id"] = content, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(content) };
            return new JsonObject { ["SpecialToken"] = new JsonObject { ["id"] = content, ["type_id"] = 0 } };
        }

        JsonArray Template(params string[] sequences) => new([.. definition.Prefix.Select(Piece), .. sequences.Select(name => (JsonNode)new JsonObject { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = 0 } }), .. definition.Suffix.Select(Piece)]);
        var template = new JsonObject { ["type"] = "TemplateProcessing", ["single"] = Template("A"), ["pair"] = Template("A", "B"), ["special_tokens"] = tokens };
        return byteLevel is null ? template : new JsonObject { ["type"] = "Sequence", ["processors"] = new JsonArray(byteLevel, template) };
    }
}
