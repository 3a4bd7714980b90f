using System.Globalization;
using System.Text.Json;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;

namespace Fossil.Models.Export;

/// <summary>A tokenizer as a GGUF file's vocabulary.</summary>
internal static class GgufTokenizerWriter
{
    private const string Prefix = GgufTokenizer.Prefix;

    /// <summary>Adds a tokenizer to metadata.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="vocabSize">The model's number of ids; those without a token are marked as unused.</param>
    /// <param name="metadata">The metadata.</param>
    /// <exception cref="ExportException">GGUF has no name for how the tokenizer cuts text into words, or the model lacks ids for its tokens.</exception>
    public static void Write(TokenizerDefinition tokenizer, int vocabSize, GgufMetadata metadata)
    {
        var tokens = new string[vocabSize];
        var types = new int[vocabSize];
        for (var id = 0; id < vocabSize; id++) (tokens[id], types[id]) = ($"[PAD{id.ToString(CultureInfo.InvariantCulture)}]", (int)GgufTokenizer.TokenType.Unused);
        foreach (var (spelling, id) in tokenizer.Vocabulary) Set(id, spelling, GgufTokenizer.TokenType.Normal);
        foreach (var token in tokenizer.AddedTokens) Set(token.Id, token.Content, token.Special ? GgufTokenizer.TokenType.Control : GgufTokenizer.TokenType.UserDefined);

        if (tokenizer.SentencePiece is { } rules) WriteSentencePiece(tokenizer, rules, vocabSize, types, metadata);
        else WriteByteLevel(tokenizer, metadata);
        metadata[Prefix + "tokens"] = GgufValue.OfArray(tokens);
        metadata[Prefix + "token_type"] = GgufValue.OfArray(types);
        SetId("bos_token_id", tokenizer.BosTokenId);
        SetId("eos_token_id", tokenizer.EosTokenId);
        SetId("unknown_token_id", tokenizer.UnkTokenId);
        SetId("padding_token_id", tokenizer.PadTokenId);
        metadata[Prefix + "add_bos_token"] = GgufValue.Of(tokenizer.Prefix.Count > 0 && tokenizer.Prefix[0] == tokenizer.BosTokenId);
        metadata[Prefix + "add_eos_token"] = GgufValue.Of(tokenizer.Suffix.Count > 0 && tokenizer.Suffix[^1] == tokenizer.EosTokenId);
        ChatTemplateFiles.Write(tokenizer.ChatTemplates, metadata);

        void Set(int id, string token, GgufTokenizer.TokenType type)
        {
            if (id >= vocabSize) throw new ExportException($"The tokenizer '{tokenizer.Path}' has the id {id}, but the model's vocabulary has {vocabSize} ids. Is it this model's tokenizer?");
            (tokens[id], types[id]) = (token, (int)type);
        }

        void SetId(string key, int? id)
        {
            if (id is { } value) metadata[Prefix + key] = GgufValue.Of((uint)value);
        }
    }

    private static void WriteByteLevel(TokenizerDefinition tokenizer, GgufMetadata metadata)
    {
        using var description = JsonDocument.Parse(tokenizer.PreTokenizer!.ToJsonString());
        var named = NamedPreTokenizer.FindSame(new PreTokenizer(description.RootElement, tokenizer.Path))
            ?? throw new ExportException($"The tokenizer '{tokenizer.Path}' cuts text into words in a way that GGUF has no name for; known are {NamedPreTokenizer.Names}.");
        metadata[Prefix + "model"] = GgufValue.Of(GgufTokenizer.ByteLevelModel);
        metadata[Prefix + "pre"] = GgufValue.Of(named.Name);
        metadata[Prefix + "merges"] = GgufValue.OfArray(tokenizer.Merges.ToArray());
    }

    private static void WriteSentencePiece(TokenizerDefinition tokenizer, SentencePieceRules rules, int vocabSize, int[] types, GgufMetadata metadata)
    {
        if (!rules.ByteFallback) throw new ExportException($"The tokenizer '{tokenizer.Path}' has no bytes to fall back on, as llama.cpp's SentencePiece vocabularies need.");
        foreach (var (piece, id) in tokenizer.Vocabulary)
        {
            if (types[id] == (int)GgufTokenizer.TokenType.Normal && SentencePieceRules.ByteOf(piece) is not null) types[id] = (int)GgufTokenizer.TokenType.Byte;
        }

        if (tokenizer.UnkTokenId is { } unknown) types[unknown] = (int)GgufTokenizer.TokenType.Unknown;
        var scores = tokenizer.Scores ?? SentencePieceRules.ScoresOf(tokenizer.Vocabulary, tokenizer.Merges);
        metadata[Prefix + "model"] = GgufValue.Of(GgufTokenizer.SentencePieceModel);
        metadata[Prefix + "pre"] = GgufValue.Of("default");
        metadata[Prefix + "scores"] = GgufValue.OfArray(Enumerable.Range(0, vocabSize).Select(id => scores.GetValueOrDefault(id)).ToArray());
        metadata[Prefix + "add_space_prefix"] = GgufValue.Of(rules.Prefix != SpacePrefix.Never);
    }
}
