using System.Text;
using Google.Protobuf;

namespace Fossil.Models.Tokenizers;

/// <summary>Reads SentencePiece's own file, <c>tokenizer.model</c> (the protobuf message <c>sentencepiece.ModelProto</c>), of byte-pair models.</summary>
internal static class SentencePieceModel
{
    public const string FileName = "tokenizer.model";

    private const int BytePairModel = 2;
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="TokenizerException">The file is malformed, or holds a model of another kind.</exception>
    public static TokenizerDefinition Read(string path)
    {
        var pieces = new List<VocabularyPiece>();
        var (trainer, normalizer) = (new Dictionary<int, Field>(), new Dictionary<int, Field>());
        try
        {
            foreach (var (number, field) in Fields(UnsafeByteOperations.UnsafeWrap(File.ReadAllBytes(path))))
            {
                if (number == 1) pieces.Add(ReadPiece(field.Bytes, path));
                else if (number == 2) trainer = Last(field.Bytes);
                else if (number == 3) normalizer = Last(field.Bytes);
            }
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new TokenizerException(path, "the file is no protobuf message, or is cut off. Is it SentencePiece's tokenizer.model?", exception);
        }

        if (pieces.Count == 0) throw new TokenizerException(path, "the file has no vocabulary. Is it SentencePiece's tokenizer.model?");
        if (Number(trainer, 3, 1) != BytePairModel) throw new TokenizerException(path, "the model is not one of byte pairs (BPE); SentencePiece's other kinds, such as Unigram, are not supported.");
        if (Number(trainer, 24, 0) != 0) throw new TokenizerException(path, "the model writes spaces behind words (treat_whitespace_as_suffix), which is not supported.");
        if (normalizer.TryGetValue(2, out var map) && map.Bytes.Length > 0) throw new TokenizerException(path, "the model changes characters before it encodes them (a precompiled character map), which is not supported.");
        if (Number(normalizer, 4, 1) != 0) throw new TokenizerException(path, "the model removes spaces (remove_extra_whitespaces), which is not supported.");
        if (Number(normalizer, 5, 1) == 0) throw new TokenizerException(path, "the model does not write spaces as ▁ (escape_whitespaces), which is not supported.");
        var prefix = Number(normalizer, 3, 1) != 0;
        int? Id(int field, int fallback) => (int)Number(trainer, field, fallback) is >= 0 and var id && id < pieces.Count ? id : null;
        return VocabularyPiece.Define(pieces, path) with
        {
            SentencePiece = new SentencePieceRules { Prefix = prefix ? SpacePrefix.Forced : SpacePrefix.Never, ByteFallback = Number(trainer, 35, 0) != 0, StripsLeadingSpace = prefix },
            UnkTokenId = Id(40, 0),
            BosTokenId = Id(41, 1),
            EosTokenId = Id(42, 2),
            PadTokenId = Id(43, -1),
        };
    }

    private static VocabularyPiece ReadPiece(ByteString message, string path)
    {
        var fields = Last(message);
        try
        {
            var text = fields.TryGetValue(1, out var field) ? StrictUtf8.GetString(field.Bytes.Span) : string.Empty;
            var score = BitConverter.UInt32BitsToSingle((uint)Number(fields, 2, 0));
            return new VocabularyPiece(text, score, (GgufTokenizer.TokenType)Number(fields, 3, (long)GgufTokenizer.TokenType.Normal));
        }
        catch (DecoderFallbackException exception)
        {
            throw new TokenizerException(path, "a token of the vocabulary is not UTF-8.", exception);
        }
    }

    private static long Number(Dictionary<int, Field> fields, int number, long fallback) => fields.TryGetValue(number, out var field) ? field.Number : fallback;

    // Of a field that occurs more than once, protobuf takes the last.
    private static Dictionary<int, Field> Last(ByteString message)
    {
        var fields = new Dictionary<int, Field>();
        foreach (var (number, field) in Fields(message)) fields[number] = field;
        return fields;
    }

    /// <summary>The fields of a message. Its schema is SentencePiece's, of which only a few numbers are read: too little for generated classes.</summary>
    private static IEnumerable<(int Number, Field Field)> Fields(ByteString message)
    {
        using var input = message.CreateCodedInput();
        while (input.ReadTag() is not 0 and var tag)
        {
            Field? field = WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.Varint => new(input.ReadInt64(), ByteString.Empty),
                WireFormat.WireType.Fixed64 => new(input.ReadSFixed64(), ByteString.Empty),
                WireFormat.WireType.Fixed32 => new(input.ReadFixed32(), ByteString.Empty),
                WireFormat.WireType.LengthDelimited => new(0, input.ReadBytes()),
                _ => null,
            };
            if (field is { } read) yield return (WireFormat.GetTagFieldNumber(tag), read);
            else input.SkipLastField();
        }
    }

    private readonly record struct Field(long Number, ByteString Bytes);
}

/// <summary>A token of a vocabulary with scores, as <c>tokenizer.model</c> and GGUF list them.</summary>
/// <param name="Text">Its text, ▁ for a space.</param>
/// <param name="Score">The higher, the earlier it is made.</param>
/// <param name="Type">What it is.</param>
internal readonly record struct VocabularyPiece(string Text, float Score, GgufTokenizer.TokenType Type)
{
    /// <summary>The vocabulary, markers, scores and merges of a list of tokens.</summary>
    /// <param name="pieces">The tokens, in the order of their ids.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="merges">The merges; null where the scores make them.</param>
    public static TokenizerDefinition Define(IReadOnlyList<VocabularyPiece> pieces, string path, IReadOnlyList<string>? merges = null)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var scores = new Dictionary<int, float>();
        var added = new List<AddedToken>();
        foreach (var (id, (text, score, type)) in pieces.Index())
        {
            scores[id] = score;
            if (float.IsNaN(score)) throw new TokenizerException(path, $"the score of the token '{text}' is no number.");
            if (type is GgufTokenizer.TokenType.Control or GgufTokenizer.TokenType.Unknown or GgufTokenizer.TokenType.UserDefined) added.Add(new AddedToken(id, text, type != GgufTokenizer.TokenType.UserDefined));
            else if (type != GgufTokenizer.TokenType.Unused && !vocabulary.TryAdd(text, id)) throw new TokenizerException(path, $"the vocabulary has the token '{text}' twice.");
        }

        return new TokenizerDefinition
        {
            Path = path,
            Vocabulary = vocabulary,
            Merges = merges ?? SentencePieceRules.MergesOf(vocabulary, scores),
            AddedTokens = added,
            Scores = merges is null ? scores : null,
        };
    }
}
