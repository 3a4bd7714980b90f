namespace Fossil.Models.Tokenizers;

/// <summary>Whether a space is put before a text, so that a word is spelled alike at the start and inside.</summary>
internal enum SpacePrefix
{
    /// <summary>No (Metaspace "never").</summary>
    Never,

    /// <summary>Before the text's first part, unless it begins with one (Metaspace "first").</summary>
    First,

    /// <summary>Before each part between added tokens, unless it begins with one (Metaspace "always").</summary>
    Always,

    /// <summary>Before each part between added tokens, even before a space (the normalizer Prepend; SentencePiece itself; llama.cpp).</summary>
    Forced,
}

/// <summary>How a vocabulary of SentencePiece is used; <see cref="SentencePieceEncoder"/> reads it.</summary>
internal sealed record SentencePieceRules
{
    /// <summary>What stands for a space.</summary>
    public const char Space = '▁';

    /// <summary>Whether a space is put before a text.</summary>
    public SpacePrefix Prefix { get; init; } = SpacePrefix.Forced;

    /// <summary>Whether a character that is no token is spelled in bytes, <c>&lt;0x0A&gt;</c>.</summary>
    public bool ByteFallback { get; init; } = true;

    /// <summary>Whether unknown characters in a row are one unknown token.</summary>
    public bool FuseUnknown { get; init; } = true;

    /// <summary>Whether nothing is merged across the start of a word (Metaspace's <c>split</c>).</summary>
    public bool SplitsWords { get; init; }

    /// <summary>Whether decoding takes one space off the start of a text.</summary>
    public bool StripsLeadingSpace { get; init; } = true;

    /// <summary>The byte that a token such as <c>&lt;0x0A&gt;</c> stands for; null for another token.</summary>
    public static byte? ByteOf(string piece) =>
        piece.Length == 6 && piece.StartsWith("<0x", StringComparison.Ordinal) && piece[5] == '>' && byte.TryParse(piece.AsSpan(3, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var value) ? value : null;

    /// <summary>The spelling of a byte.</summary>
    public static string Spell(byte value) => $"<0x{value:X2}>";

    /// <summary>
    /// The merges that make a vocabulary with scores: the higher a token's score, the earlier it is made of any two tokens (transformers'
    /// <c>generate_merges</c>, which its tokenizers of such models come from).
    /// </summary>
    public static IReadOnlyList<string> MergesOf(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyDictionary<int, float> scores) =>
    [
        .. from token in vocabulary
           from split in Splits(token.Key)
           where ByteOf(token.Key) is null && vocabulary.ContainsKey(split.Left) && vocabulary.ContainsKey(split.Right)
           orderby scores[token.Value] descending, split.Left.Length descending, split.Right.Length descending
           select $"{split.Left} {split.Right}",
    ];

    /// <summary>Scores that make tokens in the order of merges: the earlier a token is made, the higher. Tokens that are not made have 0.</summary>
    public static IReadOnlyDictionary<int, float> ScoresOf(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyList<string> merges)
    {
        var scores = vocabulary.Values.ToDictionary(id => id, _ => 0f);
        for (var rank = merges.Count - 1; rank >= 0; rank--)
        {
            if (vocabulary.TryGetValue(merges[rank].Replace(" ", "", StringComparison.Ordinal), out var id)) scores[id] = -rank - 1;
        }

        return scores;
    }

    // Between characters, never inside a surrogate pair.
    private static IEnumerable<(string Left, string Right)> Splits(string piece)
    {
        for (var at = 1; at < piece.Length; at++)
        {
            if (!char.IsLowSurrogate(piece[at])) yield return (piece[..at], piece[at..]);
        }
    }
}
