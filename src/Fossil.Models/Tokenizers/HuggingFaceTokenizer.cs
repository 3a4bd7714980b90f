using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Serialization;

namespace Fossil.Models.Tokenizers;

/// <summary>Reads <c>tokenizer.json</c> and what <c>tokenizer_config.json</c> beside it adds.</summary>
internal static class HuggingFaceTokenizer
{
    public const string FileName = "tokenizer.json";
    public const string ConfigFileName = "tokenizer_config.json";

    /// <summary>The files of a folder that belong to its tokenizer.</summary>
    public static readonly string[] FileNames = [FileName, ConfigFileName, ChatTemplateFiles.FileName, ChatTemplateFiles.ProcessorFileName, SpecialTokenTexts.MapFileName, "added_tokens.json", "vocab.json", "merges.txt", SentencePieceModel.FileName];

    /// <summary>Reads a folder's tokenizer, from files of the same save.</summary>
    /// <exception cref="TokenizerException">A file is missing, malformed, or of another kind of tokenizer.</exception>
    public static TokenizerDefinition Read(string folder)
    {
        try
        {
            return AtomicFolder.Read(folder, pathOf => Read(folder, pathOf));
        }
        catch (InvalidDataException exception)
        {
            throw new TokenizerException(folder, exception.Message, exception);
        }
    }

    private static TokenizerDefinition Read(string folder, Func<string, string> pathOf)
    {
        var definition = ReadVocabulary(folder, pathOf) with { SourceFolder = folder };
        var configPath = pathOf(ConfigFileName);
        using var config = File.Exists(configPath) ? Parse(configPath) : null;
        if (config is not null) definition = AddConfig(definition, config.RootElement, configPath);
        else if (definition.Scores is not null) definition = AddEnds(definition, addsBos: true, addsEos: false);
        return definition with
        {
            SpecialTokens = SpecialTokenTexts.Read(definition, config?.RootElement, pathOf),
            ChatTemplates = ChatTemplateFiles.Read(folder, pathOf, config?.RootElement),
        };
    }

    private static TokenizerDefinition ReadVocabulary(string folder, Func<string, string> pathOf)
    {
        var path = pathOf(FileName);
        if (File.Exists(path))
        {
            using var document = Parse(path);
            return Read(document.RootElement, path);
        }

        path = pathOf(SentencePieceModel.FileName);
        if (File.Exists(path)) return SentencePieceModel.Read(path);
        throw new TokenizerException(folder, $"the folder holds neither {FileName} nor {SentencePieceModel.FileName}. A tokenizer in another form (vocab.json) has to be saved as one by transformers first.");
    }

    /// <summary>Reads the content of a <c>tokenizer.json</c>.</summary>
    /// <exception cref="TokenizerException">It is malformed, or of another kind of tokenizer.</exception>
    public static TokenizerDefinition Read(JsonElement root, string path)
    {
        var model = root.Member("model", path);
        var type = model.Optional("type")?.AsText("type", path) ?? "BPE";
        if (type != "BPE") throw new TokenizerException(path, $"the model is of type '{type}', not BPE.");
        foreach (var affix in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (model.Optional(affix)?.AsText(affix, path) is { Length: > 0 }) throw new TokenizerException(path, $"the model has a {affix}, which is not supported.");
        }

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var vocabularyJson = model.Member("vocab", path);
        if (vocabularyJson.ValueKind != JsonValueKind.Object) throw new TokenizerException(path, "'vocab' is no object.");
        foreach (var entry in vocabularyJson.EnumerateObject()) vocabulary[entry.Name] = entry.Value.AsId(entry.Name, path);

        var sentencePiece = SentencePieceJson.Read(root, model, path);
        var added = root.Optional("added_tokens") is null ? [] : root.List("added_tokens", path).Select(token => ReadAdded(token, path)).ToArray();
        var (prefix, suffix) = root.Optional("post_processor") is { } processor ? ReadPostProcessor(processor, path) : ([], []);
        return new TokenizerDefinition
        {
            Path = path,
            Vocabulary = vocabulary,
            Merges = [.. model.List("merges", path).Select(merge => ReadMerge(merge, path))],
            AddedTokens = added,
            IgnoreMerges = model.Flag("ignore_merges", path),
            NormalizeC = sentencePiece is null && root.Optional("normalizer") is { } normalizer && ReadNormalizer(normalizer, path),
            PreTokenizer = sentencePiece is null ? JsonNode.Parse(root.Member("pre_tokenizer", path).GetRawText()) : null,
            SentencePiece = sentencePiece,
            Prefix = prefix,
            Suffix = suffix,
            UnkTokenId = model.Optional("unk_token")?.AsText("unk_token", path) is { } unknown && vocabulary.TryGetValue(unknown, out var id) ? id : null,
        };
    }

    private static TokenizerDefinition AddConfig(TokenizerDefinition definition, JsonElement config, string path)
    {
        definition = AddMarkers(definition, config, path);
        int? Id(string name)
        {
            if (config.Optional(name) is not { } token) return null;
            var content = token.ValueKind == JsonValueKind.Object ? token.Text("content", path) : token.AsText(name, path);
            return definition.AddedTokens.FirstOrDefault(added => added.Content == content)?.Id
                ?? (definition.Vocabulary.TryGetValue(content, out var id) ? id : throw new TokenizerException(path, $"the {name} '{content}' is no token of the vocabulary."));
        }

        // Only tokenizer.model itself says which these are; transformers' Llama tokenizers put the first one before a text.
        var isModel = definition.Scores is not null;
        definition = definition with
        {
            BosTokenId = Id("bos_token") ?? (isModel ? definition.BosTokenId : null),
            EosTokenId = Id("eos_token") ?? (isModel ? definition.EosTokenId : null),
            PadTokenId = Id("pad_token") ?? (isModel ? definition.PadTokenId : null),
            UnkTokenId = Id("unk_token") ?? definition.UnkTokenId,
        };
        return AddEnds(definition, config.Flag("add_bos_token", path, fallback: isModel), config.Flag("add_eos_token", path));
    }

    // Where a post-processor is there, it has the last word on what is put around a text.
    private static TokenizerDefinition AddEnds(TokenizerDefinition definition, bool addsBos, bool addsEos) => definition with
    {
        Prefix = definition.Prefix.Count == 0 && addsBos && definition.BosTokenId is { } bos ? [bos] : definition.Prefix,
        Suffix = definition.Suffix.Count == 0 && addsEos && definition.EosTokenId is { } eos ? [eos] : definition.Suffix,
    };

    /// <summary>Markers that were added beside a <c>tokenizer.model</c>.</summary>
    private static TokenizerDefinition AddMarkers(TokenizerDefinition definition, JsonElement config, string path)
    {
        if (definition.Scores is null || config.Optional("added_tokens_decoder") is not { ValueKind: JsonValueKind.Object } markers) return definition;
        var known = definition.AddedTokens.Select(token => token.Id).ToHashSet();
        var more = markers.EnumerateObject()
            .Select(marker => ReadAdded(marker.Value, int.TryParse(marker.Name, CultureInfo.InvariantCulture, out var id) && id >= 0 ? id : throw new TokenizerException(path, $"added_tokens_decoder has the id '{marker.Name}', which is none."), path))
            .Where(token => !known.Contains(token.Id));
        return definition with { AddedTokens = [.. definition.AddedTokens, .. more] };
    }

    private static AddedToken ReadAdded(JsonElement token, string path) => ReadAdded(token, token.Member("id", path).AsId(token.Text("content", path), path), path);

    private static AddedToken ReadAdded(JsonElement token, int id, string path) =>
        new(id, token.Text("content", path), token.Flag("special", path), token.Flag("lstrip", path), token.Flag("rstrip", path), token.Flag("single_word", path));

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
        var other => throw new TokenizerException(path, $"the normalizer '{other}' is not supported with a byte-level vocabulary, only NFC."),
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

    private static JsonDocument Parse(string path) => JsonFile.Read(path, (problem, inner) => new TokenizerException(path, $"the file {problem}", inner));
}
