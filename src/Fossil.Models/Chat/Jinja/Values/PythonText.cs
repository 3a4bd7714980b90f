using System.Buffers;
using System.Globalization;
using System.Text;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Characters as Python sees them: code points, its white space, its letter cases.</summary>
internal static class PythonText
{
    /// <summary>What <c>str.isspace</c> says of a character.</summary>
    public static readonly SearchValues<char> Spaces = SearchValues.Create(
        "\t\n\v\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000");

    // Upper case of more than one character (Unicode's SpecialCasing.txt), and where .NET leaves a character as it is.
    private static readonly Dictionary<int, string> Upper = new()
    {
        [0xDF] = "SS", [0x131] = "I", [0x149] = "\u02BCN", [0x17F] = "S", [0x1F0] = "J\u030C", [0x390] = "\u0399\u0308\u0301", [0x3B0] = "\u03A5\u0308\u0301", [0x587] = "\u0535\u0552",
        [0x1E96] = "H\u0331", [0x1E97] = "T\u0308", [0x1E98] = "W\u030A", [0x1E99] = "Y\u030A", [0x1E9A] = "A\u02BE", [0x1F50] = "\u03A5\u0313", [0x1F52] = "\u03A5\u0313\u0300",
        [0x1F54] = "\u03A5\u0313\u0301", [0x1F56] = "\u03A5\u0313\u0342", [0x1FB6] = "\u0391\u0342", [0x1FC6] = "\u0397\u0342", [0x1FD6] = "\u0399\u0342", [0x1FE4] = "\u03A1\u0313",
        [0x1FE6] = "\u03A5\u0342", [0x1FF6] = "\u03A9\u0342", [0xFB00] = "FF", [0xFB01] = "FI", [0xFB02] = "FL", [0xFB03] = "FFI", [0xFB04] = "FFL", [0xFB05] = "ST", [0xFB06] = "ST",
        [0xFB13] = "\u0544\u0546", [0xFB14] = "\u0544\u0535", [0xFB15] = "\u0544\u053B", [0xFB16] = "\u054E\u0546", [0xFB17] = "\u0544\u053D",
    };

    // Title case that differs from upper case.
    private static readonly Dictionary<int, string> Title = new()
    {
        [0xDF] = "Ss", [0x1C4] = "\u01C5", [0x1C5] = "\u01C5", [0x1C6] = "\u01C5", [0x1C7] = "\u01C8", [0x1C8] = "\u01C8", [0x1C9] = "\u01C8", [0x1CA] = "\u01CB", [0x1CB] = "\u01CB", [0x1CC] = "\u01CB",
        [0x1F1] = "\u01F2", [0x1F2] = "\u01F2", [0x1F3] = "\u01F2", [0x587] = "\u0535\u0582", [0xFB00] = "Ff", [0xFB01] = "Fi", [0xFB02] = "Fl", [0xFB03] = "Ffi", [0xFB04] = "Ffl", [0xFB05] = "St", [0xFB06] = "St",
    };

    public static bool IsSpace(int codePoint) => codePoint < 0x10000 && Spaces.Contains((char)codePoint);

    public static bool HasPairs(string text) => text.AsSpan().IndexOfAnyInRange('\uD800', '\uDBFF') >= 0;

    /// <summary>How many UTF-16 units the code point at an index has; a lone surrogate is one by itself, as in Python.</summary>
    public static int SizeAt(ReadOnlySpan<char> text, int index) => char.IsHighSurrogate(text[index]) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]) ? 2 : 1;

    public static int CodePointAt(string text, int index) => SizeAt(text, index) == 2 ? char.ConvertToUtf32(text[index], text[index + 1]) : text[index];

    public static int CountCodePoints(ReadOnlySpan<char> text)
    {
        var count = 0;
        for (var i = 0; i < text.Length; i += SizeAt(text, i)) count++;
        return count;
    }

    /// <summary>A code point as a string, a lone surrogate too.</summary>
    public static string FromCodePoint(int codePoint) => codePoint < 0x10000 ? ((char)codePoint).ToString() : char.ConvertFromUtf32(codePoint);

    public static bool IsIdentifier(string text)
    {
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            var starts = rune.Value == '_' || category is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber;
            var continues = category is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation;
            if (!starts && (index == 0 || !continues)) return false;
            index++;
        }

        return index > 0;
    }

    public static string ToUpper(int codePoint) => Upper.TryGetValue(codePoint, out var special) ? special : Simple(codePoint, Rune.ToUpperInvariant);

    public static string ToTitle(int codePoint) => Title.TryGetValue(codePoint, out var special) ? special : ToUpper(codePoint);

    public static string ToLower(int codePoint) => codePoint == 0x130 ? "i\u0307" : Simple(codePoint, Rune.ToLowerInvariant);

    /// <summary>Lower case of a whole string: a capital sigma at the end of a word becomes a final one.</summary>
    public static MarkedText ToLower(MarkedText text)
    {
        const int Sigma = 0x3A3;
        if (!text.Value.Contains((char)Sigma)) return text.Map(ToLower);
        var position = 0;
        return text.Map(point =>
        {
            var at = position;
            position += point >= 0x10000 ? 2 : 1;
            return point == Sigma && IsFinalSigma(text.Value, at) ? "\u03C2" : ToLower(point);
        });
    }

    public static bool IsUpper(int codePoint) => Category(codePoint) == UnicodeCategory.UppercaseLetter || codePoint is (>= 0x2160 and <= 0x216F) or (>= 0x24B6 and <= 0x24CF);

    public static bool IsLower(int codePoint) => Category(codePoint) == UnicodeCategory.LowercaseLetter || codePoint is 0xAA or 0xBA or (>= 0x2B0 and <= 0x2B8) or (>= 0x2170 and <= 0x217F) or (>= 0x24D0 and <= 0x24E9);

    public static bool IsCased(int codePoint) => IsUpper(codePoint) || IsLower(codePoint) || Category(codePoint) == UnicodeCategory.TitlecaseLetter;

    public static UnicodeCategory Category(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint);

    public static bool IsPrintable(int codePoint) => codePoint == ' ' || Category(codePoint) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    public static bool IsDecimal(int codePoint) => Category(codePoint) == UnicodeCategory.DecimalDigitNumber;

    public static bool IsDigit(int codePoint) => IsDecimal(codePoint) || (codePoint < 0x10000 && CharUnicodeInfo.GetDigitValue((char)codePoint) >= 0);

    public static bool IsNumeric(int codePoint) => IsDigit(codePoint) || CharUnicodeInfo.GetNumericValue(FromCodePoint(codePoint), 0) >= 0 || Category(codePoint) is UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    public static bool IsAlpha(int codePoint) => Category(codePoint) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter;

    private static string Simple(int codePoint, Func<Rune, Rune> change) => Rune.TryCreate(codePoint, out var rune) ? change(rune).ToString() : FromCodePoint(codePoint);

    private static bool IsFinalSigma(string text, int index)
    {
        var before = index - 1;
        while (before >= 0 && IsIgnorable(text[before])) before--;
        var after = index + 1;
        while (after < text.Length && IsIgnorable(text[after])) after++;
        return before >= 0 && IsCased(text[before]) && (after >= text.Length || !IsCased(text[after]));
    }

    private static bool IsIgnorable(char character) => character is '\'' or '.' or ':' or '^' or '`' or '\u00B7' or '\u2019'
        || Category(character) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;
}
