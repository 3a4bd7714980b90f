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
        if (model != ByteLevelModel) throw new TokenizerException(path, $"the vocabulary is of the kind '{model}'; only byte-level BPE ('{ByteLevelModel}') is supported, not SentencePiece.");
        var pre = metadata.FindString(Prefix + "pre") ?? "default";
        var named = NamedPreTokenizer.Find(pre) ?? throw new TokenizerException(path, $"the vocabulary's pre-tokenizer is '{pre}'; supported are {NamedPreTokenizer.Names}.");
        var tokens = metadata.FindStrings(Prefix + "tokens") ?? throw new TokenizerException(path, "the file has no vocabulary.");
        var merges = metadata.FindStrings(Prefix + "merges") ?? throw new TokenizerException(path, "the vocabulary has no merges.");
        var types = metadata.TryGetValue(Prefix + "token_type", out var value) ? value.Value as int[] : Enumerable.Repeat((int)TokenType.Normal, tokens.Length).ToArray();
        if (types?.Length != tokens.Length) throw new TokenizerException(path, $"the vocabulary has {tokens.Length} tokens but not as many token types.");

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var added = new List<AddedToken>();
        for (var id = 0; id < tokens.Length; id++)
        {
            var type = (TokenType)types[id];
            if (type is TokenType.Control or TokenType.Unknown or TokenType.UserDefined) added.Add(new AddedToken(id, tokens[id], type != TokenType.UserDefined));
            else if (type != TokenType.Unused && !vocabulary.TryAdd(tokens[id], id)) throw new TokenizerException(path, $"the vocabulary has the token '{tokens[id]}' twice.");
        }

        int? Id(string name) => metadata.FindCount(Prefix + name) is { } id ? id < tokens.Length ? id : throw new TokenizerException(path, $"{name} is {id}, but there are {tokens.Length} tokens.") : null;
        var bos = Id("bos_token_id");
        var eos = Id("eos_token_id");
        return new TokenizerDefinition
        {
            Path = path,
            Vocabulary = vocabulary,
            Merges = merges,
            AddedTokens = added,
            IgnoreMerges = named.IgnoreMerges,
            NormalizeC = named.NormalizeC,
            PreTokenizer = JsonNode.Parse(named.Json)!,
            Prefix = bos is { } first && (metadata.FindBoolean(Prefix + "add_bos_token") ?? named.AddsBos) ? [first] : [],
            Suffix = eos is { } last && metadata.FindBoolean(Prefix + "add_eos_token") == true ? [last] : [],
            BosTokenId = bos,
            EosTokenId = eos,
            PadTokenId = Id("padding_token_id"),
            UnkTokenId = Id("unknown_token_id"),
            ChatTemplate = metadata.FindString("tokenizer.chat_template"),
        };
    }
}
