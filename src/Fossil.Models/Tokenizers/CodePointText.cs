using System.Globalization;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// A text for .NET's regular expressions, which see UTF-16 units and so take a letter beyond U+FFFF for two surrogates that are no letter.
/// Each such code point is represented by one character of the same general category, which is all that tokenizers' expressions ask about it.
/// </summary>
internal readonly struct CodePointText
{
    private static readonly char[] Representatives = FindRepresentatives();
    private readonly int[]? starts;

    /// <summary>Represents <paramref name="text"/>.</summary>
    public CodePointText(string text)
    {
        Source = text;
        Matched = text;
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return;
        var characters = new char[text.Length];
        starts = new int[text.Length + 1];
        var count = 0;
        for (var i = 0; i < text.Length; count++)
        {
            starts[count] = i;
            if (char.IsSurrogatePair(text, i))
            {
                characters[count] = Representatives[(int)CharUnicodeInfo.GetUnicodeCategory(text, i)];
                i += 2;
            }
            else
            {
                // A surrogate on its own becomes U+FFFD in UTF-8, and is matched as that.
                characters[count] = char.IsSurrogate(text[i]) ? '\uFFFD' : text[i];
                i++;
            }
        }

        starts[count] = text.Length;
        Matched = new string(characters, 0, count);
    }

    /// <summary>The text.</summary>
    public string Source { get; }

    /// <summary>What the expressions are matched on.</summary>
    public string Matched { get; }

    /// <summary>The part of the text between two positions of <see cref="Matched"/>.</summary>
    public string Slice(int start, int end) => starts is null ? Source[start..end] : Source[starts[start]..starts[end]];

    // Characters from U+0370 on: expressions name single ones only far below. Spaces, controls and surrogates exist below U+FFFF only.
    private static char[] FindRepresentatives()
    {
        var representatives = new char[Enum.GetValues<UnicodeCategory>().Length];
        for (var value = 0xFFFD; value >= 0x370; value--) representatives[(int)CharUnicodeInfo.GetUnicodeCategory((char)value)] = (char)value;
        return representatives;
    }
}
