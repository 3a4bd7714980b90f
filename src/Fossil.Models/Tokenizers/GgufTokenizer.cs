using System.Text.Json.Nodes;
using Fossil.Models.Gguf;

namespace Fossil.Models.Tokenizers;

/// <summary>Reads the vocabulary in a GGUF file's metadata.</summary>
internal static class GgufTokenizer
{
    /// <summary>What the keys begin with.</summary>
    public const string Prefix = "tokenizer.ggml.";

    /// <summary>The name of byte-level BPE.</summary>
    public const string ByteLevelModel = "gpt2";

    /// <summary>The name of SentencePiece's byte pairs.</summary>
    public const string SentencePieceModel = "llama";

    /// <summary>The kind of a file without a vocabulary: llama.cpp opens it for token ids, and refuses one that names no kind.</summary>
    public const string NoModel = "none";

    /// <summary>What a token is.</summary>
    public enum TokenType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>Reads the vocabulary.</summary>
    /// <exception cref="TokenizerException">There is none, it is malformed, or of another kind of tokenizer.</exception>
    public static TokenizerDefinition Read(GgufMetadata metadata)
    {
        var path = metadata.Path ?? "GGUF metadata";
        try
        {
            return Read(metadata, path);
        }
        catch (GgufException exception)
        {
            throw new TokenizerException(null, exception.Message, exception);
        }
    }

    private static TokenizerDefinition Read(GgufMetadata metadata, string path)
    {
        var model = metadata.GetString(Prefix + "model");
        var tokens = metadata.FindStrings(Prefix + "tokens") ?? throw new TokenizerException(path, "the file has no vocabulary.");
        var types = metadata.TryGetValue(Prefix + "token_type", out var value) ? value.Value as int[] : Enumerable.Repeat((int)TokenType.Normal, tokens.Length).ToArray();
        if (types?.Length != tokens.Length) throw new TokenizerException(path, $"the vocabulary has {tokens.Length} tokens but not as many token types.");
        var (definition, addsBos) = model switch
        {
            ByteLevelModel => ReadByteLevel(metadata, tokens, types, path),
            SentencePieceModel => (ReadSentencePiece(metadata, tokens, types, path), true),
            _ => throw new TokenizerException(path, $"the vocabulary is of the kind '{model}'; supported are byte-level BPE ('{ByteLevelModel}') and SentencePiece's BPE ('{SentencePieceModel}')."),
        };

        int? Id(string name) => GgufTokenIds.Find(metadata, Prefix + name, tokens.Length);
        var bos = Id("bos_token_id");
        var eos = Id("eos_token_id");
        return definition with
        {
            Prefix = bos is { } first && (metadata.FindBoolean(Prefix + "add_bos_token") ?? addsBos) ? [first] : [],
            Suffix = eos is { } last && metadata.FindBoolean(Prefix + "add_eos_token") == true ? [last] : [],
            BosTokenId = bos,
            EosTokenId = eos,
            PadTokenId = Id("padding_token_id"),
            UnkTokenId = Id("unknown_token_id"),
            SpecialTokens = SpecialTokenTexts.Roles.Select(role => (role.Name, Id: Id(role.GgufName))).Where(role => role.Id is not null).ToDictionary(role => role.Name, role => tokens[role.Id!.Value]),
            ChatTemplates = ChatTemplateFiles.Read(metadata),
        };
    }

    private static (TokenizerDefinition Definition, bool AddsBos) ReadByteLevel(GgufMetadata metadata, string[] tokens, int[] types, string path)
    {
        var pre = metadata.FindString(Prefix + "pre") ?? "default";
        var named = NamedPreTokenizer.Find(pre) ?? throw new TokenizerException(path, $"the vocabulary's pre-tokenizer is '{pre}'; supported are {NamedPreTokenizer.Names}.");
        var merges = metadata.FindStrings(Prefix + "merges") ?? throw new TokenizerException(path, "the vocabulary has no merges.");
        var definition = VocabularyPiece.Define([.. tokens.Select((token, id) => new VocabularyPiece(token, 0, (TokenType)types[id]))], path, merges) with
        {
            IgnoreMerges = named.IgnoreMerges,
            NormalizeC = named.NormalizeC,
            PreTokenizer = JsonNode.Parse(named.Json)!,
        };
        return (definition, named.AddsBos);
    }

    private static TokenizerDefinition ReadSentencePiece(GgufMetadata metadata, string[] tokens, int[] types, string path)
    {
        if (!metadata.TryGetValue(Prefix + "scores", out var value) || value.Value is not float[] scores || scores.Length != tokens.Length)
        {
            throw new TokenizerException(path, $"the vocabulary has {tokens.Length} tokens but not as many scores.");
        }

        if (metadata.FindBoolean(Prefix + "remove_extra_whitespaces") == true) throw new TokenizerException(path, "the vocabulary removes spaces (remove_extra_whitespaces), which is not supported.");
        var prefix = metadata.FindBoolean(Prefix + "add_space_prefix") ?? true;
        return VocabularyPiece.Define([.. tokens.Select((token, id) => new VocabularyPiece(token, scores[id], (TokenType)types[id]))], path) with
        {
            SentencePiece = new SentencePieceRules { Prefix = prefix ? SpacePrefix.Forced : SpacePrefix.Never, StripsLeadingSpace = prefix },
        };
    }
}
