using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Fossil.Models.Tokenizers;

/// <summary>Reads <c>tokenizer.json</c> and what <c>tokenizer_config.json</c> beside it adds.</summary>
internal static class HuggingFaceTokenizer
{
    public const string FileName = "tokenizer.json";
    public const string ConfigFileName = "tokenizer_config.json";
    public const string TemplateFileName = "chat_template.jinja";

    /// <summary>The files of a folder that belong to its tokenizer.</summary>
    public static readonly string[] FileNames = [FileName, ConfigFileName, TemplateFileName, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model"];

    /// <summary>Reads a folder's tokenizer.</summary>
    /// <exception cref="TokenizerException">A file is missing, malformed, or of another kind of tokenizer.</exception>
    public static TokenizerDefinition Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new TokenizerException(folder, $"the folder holds no {FileName}. Tokenizers in other forms (tokenizer.model, vocab.json) have to be saved as one by transformers first.");
        var configPath = Path.Combine(folder, ConfigFileName);
        var templatePath = Path.Combine(folder, TemplateFileName);
        using var document = Parse(path);
        var definition = Read(document.RootElement, path) with { SourceFolder = folder };
        if (File.Exists(configPath))
        {
            using var config = Parse(configPath);
            definition = AddConfig(definition, config.RootElement, configPath);
        }

        return File.Exists(templatePath) ? definition with { ChatTemplate = File.ReadAllText(templatePath) } : definition;
    }

    /// <summary>Reads the content of a <c>tokenizer.json</c>.</summary>
    /// <exception cref="TokenizerException">It is malformed, or of another kind of tokenizer.</exception>
    public static TokenizerDefinition Read(JsonElement root, string path)
    {
        var model = root.Member("model", path);
        var type = model.Optional("type")?.AsText("type", path) ?? "BPE";
        if (type != "BPE") throw new TokenizerException(path, $"the model is of type '{type}', not BPE.");
        if (model.Flag("byte_fallback", path)) throw new TokenizerException(path, "this is a SentencePiece tokenizer (byte_fallback); only byte-level ones are supported.");
        foreach (var affix in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (model.Optional(affix)?.AsText(affix, path) is { Length: > 0 }) throw new TokenizerException(path, $"the model has a {affix}, which is not supported.");
        }

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var vocabularyJson = model.Member("vocab", path);
        if (vocabularyJson.ValueKind != JsonValueKind.Object) throw new TokenizerException(path, "'vocab' is no object.");
        foreach (var entry in vocabularyJson.EnumerateObject()) vocabulary[entry.Name] = entry.Value.AsId(entry.Name, path);

        var added = root.Optional("added_tokens") is null ? [] : root.List("added_tokens", path).Select(token => ReadAdded(token, path)).ToArray();
        var (prefix, suffix) = root.Optional("post_processor") is { } processor ? ReadPostProcessor(processor, path) : ([], []);
        return new TokenizerDefinition
        {
            Path = path,
            Vocabulary = vocabulary,
            Merges = [.. model.List("merges", path).Select(merge => ReadMerge(merge, path))],
            AddedTokens = added,
            IgnoreMerges = model.Flag("ignore_merges", path),
            NormalizeC = root.Optional("normalizer") is { } normalizer && ReadNormalizer(normalizer, path),
            PreTokenizer = JsonNode.Parse((root.Optional("pre_tokenizer") ?? throw new TokenizerException(path, "there is no pre-tokenizer, so this is no byte-level tokenizer (SentencePiece's are not supported).")).GetRawText())!,
            Prefix = prefix,
            Suffix = suffix,
            UnkTokenId = model.Optional("unk_token")?.AsText("unk_token", path) is { } unknown && vocabulary.TryGetValue(unknown, out var id) ? id : null,
        };
    }

    private static TokenizerDefinition AddConfig(TokenizerDefinition definition, JsonElement config, string path)
    {
        int? Id(string name)
        {
            if (config.Optional(name) is not { } token) return null;
            var content = token.ValueKind == JsonValueKind.Object ? token.Text("content", path) : token.AsText(name, path);
            return definition.AddedTokens.FirstOrDefault(added => added.Content == content)?.Id
                ?? (definition.Vocabulary.TryGetValue(content, out var id) ? id : throw new TokenizerException(path, $"the {name} '{content}' is no token of the vocabulary."));
        }

        var bos = Id("bos_token");
        var eos = Id("eos_token");

        // Where a post-processor is there, it has the last word on what is put around a text.
        var addsBos = definition.Prefix.Count == 0 && config.Flag("add_bos_token", path) && bos is not null;
        var addsEos = definition.Suffix.Count == 0 && config.Flag("add_eos_token", path) && eos is not null;
        return definition with
        {
            BosTokenId = bos,
            EosTokenId = eos,
            PadTokenId = Id("pad_token"),
            UnkTokenId = Id("unk_token") ?? definition.UnkTokenId,
            Prefix = addsBos ? [bos!.Value] : definition.Prefix,
            Suffix = addsEos ? [eos!.Value] : definition.Suffix,
            ChatTemplate = config.Optional("chat_template") is { } template ? ReadTemplate(template, path) : null,
        };
    }

    /// <summary>One template, or of several by name the one called "default".</summary>
    private static string? ReadTemplate(JsonElement template, string path)
    {
        if (template.ValueKind != JsonValueKind.Array) return template.AsText("chat_template", path);
        return template.EnumerateArray().Where(named => named.Text("name", path) == "default").Select(named => named.Text("template", path)).FirstOrDefault();
    }

    private static AddedToken ReadAdded(JsonElement token, string path)
    {
        var content = token.Text("content", path);
        return new AddedToken(token.Member("id", path).AsId(content, path), content, token.Flag("special", path), token.Flag("lstrip", path), token.Flag("rstrip", path), token.Flag("single_word", path));
    }

    private static string ReadMerge(JsonElement merge, string path)
    {
        if (merge.ValueKind == JsonValueKind.String) return merge.GetString()!;
        return merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2
            ? $"{merge[0].AsText("merges", path)} {merge[1].AsText("merges", path)}"
            : throw new TokenizerException(path, "an element of 'merges' is neither a string nor a pair of strings.");
    }

    private static bool ReadNormalizer(JsonElement normalizer, string path) => normalizer.Text("type", path) switch
    {
        "NFC" => true,
        "Sequence" => normalizer.List("normalizers", path).Aggregate(false, (any, inner) => ReadNormalizer(inner, path) || any),
        var other => throw new TokenizerException(path, $"the normalizer '{other}' is not supported, only NFC. (Prepend and Replace belong to SentencePiece tokenizers.)"),
    };

    private static (List<int> Prefix, List<int> Suffix) ReadPostProcessor(JsonElement processor, string path)
    {
        var (prefix, suffix) = (new List<int>(), new List<int>());
        switch (processor.Text("type", path))
        {
            case "ByteLevel":
                break;
            case "Sequence":
                foreach (var inner in processor.List("processors", path))
                {
                    var (innerPrefix, innerSuffix) = ReadPostProcessor(inner, path);
                    prefix.InsertRange(0, innerPrefix);
                    suffix.AddRange(innerSuffix);
                }

                break;
            case "TemplateProcessing":
                var isBefore = true;
                foreach (var piece in processor.List("single", path))
                {
                    if (piece.Optional("SpecialToken") is not { } special) isBefore = false;
                    else (isBefore ? prefix : suffix).AddRange(processor.Member("special_tokens", path).Member(special.Text("id", path), path).List("ids", path).Select(id => id.AsId("special_tokens", path)));
                }

                break;
            case var other:
                throw new TokenizerException(path, $"the post-processor '{other}' is not supported, only ByteLevel, TemplateProcessing and a Sequence of them.");
        }

        return (prefix, suffix);
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            if (!Utf8.IsValid(bytes)) throw new TokenizerException(path, "this is not UTF-8.");
            var start = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
            CheckStrings(bytes.AsSpan(start));
            return JsonDocument.Parse(bytes.AsMemory(start));
        }
        catch (InvalidOperationException exception)
        {
            throw new TokenizerException(path, $"a string is no Unicode text: {exception.Message}", exception);
        }
        catch (JsonException exception)
        {
            throw new TokenizerException(path, $"this is not JSON: {exception.Message}", exception);
        }
    }

    // An escape can be half of a surrogate pair; JsonDocument would find that out only when it compares or returns the string.
    private static void CheckStrings(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped) reader.GetString();
        }
    }
}
