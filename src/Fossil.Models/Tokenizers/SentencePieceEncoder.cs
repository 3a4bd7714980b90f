using System.Text;
using Microsoft.ML.Tokenizers;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// SentencePiece's byte-pair encoding (Llama 2, Mistral): spaces are written as ▁, the characters of the whole text are merged, and a character that is
/// no token is spelled in bytes.
/// </summary>
internal sealed class SentencePieceEncoder : ITextEncoder
{
    private readonly TokenizerDefinition definition;
    private readonly SentencePieceRules rules;
    private readonly Dictionary<Rune, char> symbols = [];
    private readonly HashSet<(char, char)> neighbours = [];
    private readonly int[]? byteIds;
    private readonly BpeTokenizer bpe;

    public SentencePieceEncoder(TokenizerDefinition definition, SentencePieceRules rules)
    {
        this.definition = definition;
        this.rules = rules;
        AddSymbols();
        var vocabulary = definition.Vocabulary.Select(token => KeyValuePair.Create(Spell(token.Key), token.Value)).ToList();
        foreach (var (spelling, _) in vocabulary)
        {
            for (var i = 1; i < spelling.Length; i++) neighbours.Add((spelling[i - 1], spelling[i]));
        }

        bpe = Merger.Create(vocabulary, definition.Merges.Select(Spell), definition.Path);
        var ids = Enumerable.Range(0, 256).Select(value => definition.Vocabulary.GetValueOrDefault(SentencePieceRules.Spell((byte)value), -1)).ToArray();
        if (rules.ByteFallback && !ids.Contains(-1)) byteIds = ids;
    }

    public IEnumerable<KeyValuePair<int, byte[]>> Bytes => definition.Vocabulary.Select(token => KeyValuePair.Create(
        token.Value,
        rules.ByteFallback && SentencePieceRules.ByteOf(token.Key) is { } value ? [value] : Encoding.UTF8.GetBytes(token.Key.Replace(SentencePieceRules.Space, ' '))));

    public void Encode(string text, PartStart start, List<int> ids)
    {
        if (text.Length == 0) return;
        var escaped = text.Replace(' ', SentencePieceRules.Space);
        if (NeedsPrefix(escaped, start)) escaped = SentencePieceRules.Space + escaped;
        if (definition.IgnoreMerges && definition.Vocabulary.TryGetValue(escaped, out var whole))
        {
            ids.Add(whole);
            return;
        }

        var word = new StringBuilder();
        var previousIsUnknown = false;
        foreach (var rune in escaped.EnumerateRunes())
        {
            var isKnown = symbols.TryGetValue(rune, out var symbol);
            // Two characters that no token has side by side are never merged: a cut there changes nothing, and keeps the words short.
            if (word.Length > 0 && (!isKnown || !neighbours.Contains((word[^1], symbol)) || (rules.SplitsWords && symbol == SentencePieceRules.Space))) Flush();
            if (isKnown) word.Append(symbol);
            else AddUnknown(rune, previousIsUnknown, ids);
            previousIsUnknown = !isKnown;
        }

        Flush();

        void Flush()
        {
            if (word.Length == 0) return;
            ids.AddRange(Merger.Merge(bpe, word.ToString()));
            word.Clear();
        }
    }

    private bool NeedsPrefix(string escaped, PartStart start) => start != PartStart.OtherText && rules.Prefix switch
    {
        SpacePrefix.Forced => true,
        SpacePrefix.Always => escaped[0] != SentencePieceRules.Space,
        SpacePrefix.First => start == PartStart.Text && escaped[0] != SentencePieceRules.Space,
        _ => false,
    };

    private void AddUnknown(Rune rune, bool previousIsUnknown, List<int> ids)
    {
        if (byteIds is not null)
        {
            Span<byte> utf8 = stackalloc byte[4];
            foreach (var value in utf8[..rune.EncodeToUtf8(utf8)]) ids.Add(byteIds[value]);
        }
        else if (definition.UnkTokenId is { } unknown && !(rules.FuseUnknown && previousIsUnknown))
        {
            ids.Add(unknown);
        }
    }

    /// <summary>
    /// Finds the characters that are tokens. Microsoft.ML.Tokenizers merges UTF-16 units, so one beyond U+FFFF is spelled as a private one that no token has.
    /// </summary>
    private void AddSymbols()
    {
        foreach (var piece in definition.Vocabulary.Keys.Where(piece => piece.Length == 1 && !char.IsSurrogate(piece[0]))) symbols[new Rune(piece[0])] = piece[0];

        var next = '\uE000';
        foreach (var piece in definition.Vocabulary.Keys.Where(piece => piece.Length == 2 && char.IsSurrogatePair(piece, 0)).Order(StringComparer.Ordinal))
        {
            while (symbols.ContainsKey(new Rune(next))) next++;
            if (next > '\uF8FF') throw new TokenizerException(definition.Path, "the vocabulary has more than 6400 characters beyond U+FFFF, which is not supported.");
            symbols[new Rune(piece[0], piece[1])] = next++;
        }
    }

    private string Spell(string piece)
    {
        if (piece.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return piece;
        var spelling = new StringBuilder(piece.Length);
        foreach (var rune in piece.EnumerateRunes()) spelling.Append(symbols.TryGetValue(rune, out var symbol) ? symbol.ToString() : rune.ToString());
        return spelling.ToString();
    }
}
