using System.Globalization;
using System.Numerics;
using System.Text;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Numbers in strings, as Python's <c>int()</c> and <c>float()</c> read them.</summary>
internal static class Numbers
{
    public static bool TryParseInteger(string text, int radix, out BigInteger value)
    {
        value = default;
        var digits = Normalized(text);
        var negative = digits.StartsWith('-');
        if (negative || digits.StartsWith('+')) digits = digits[1..];
        if (radix is 0 or 2 or 8 or 16 && digits.Length > 2 && digits[0] == '0')
        {
            var named = char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 };
            if (named != 0 && (radix == 0 || radix == named)) (radix, digits) = (named, digits[2..].TrimStart('_'));
        }

        if (radix == 0) radix = 10;
        if (radix is < 2 or > 36 || digits.Length is 0 or > 4300 || digits[0] == '_' || digits[^1] == '_' || digits.Contains("__", StringComparison.Ordinal)) return false;
        foreach (var character in digits)
        {
            if (character == '_') continue;
            var digit = char.IsAsciiDigit(character) ? character - '0' : char.IsAsciiLetter(character) ? char.ToLowerInvariant(character) - 'a' + 10 : 99;
            if (digit >= radix) return false;
            value = (value * radix) + digit;
        }

        if (negative) value = -value;
        return true;
    }

    /// <summary>Python's <c>float(value)</c>; false where it would be a TypeError or ValueError.</summary>
    public static bool TryFloat(object value, out double number)
    {
        number = 0;
        switch (value)
        {
            case double given:
                number = given;
                return true;
            case Undefined missing:
                throw missing.Error();
            case MarkedText text:
                return TryParseFloat(text.Value, out number);
            default:
                if (!Python.TryInteger(value, out var integer)) return false;
                number = Arithmetic.ToDouble(integer);
                return true;
        }
    }

    private static bool TryParseFloat(string text, out double number)
    {
        var digits = Normalized(text).ToLowerInvariant();
        var unsigned = digits.TrimStart('+', '-');
        number = 0;
        if (unsigned is "inf" or "infinity" or "nan" && digits.Length - unsigned.Length <= 1)
        {
            number = unsigned == "nan" ? double.NaN : digits[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
            return true;
        }

        for (var i = 0; i < digits.Length; i++)
        {
            if (digits[i] == '_' && (i == 0 || i + 1 == digits.Length || !char.IsAsciiDigit(digits[i - 1]) || !char.IsAsciiDigit(digits[i + 1]))) return false;
        }

        return double.TryParse(digits.Replace("_", string.Empty, StringComparison.Ordinal), NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Without white space around it, and with every script's decimal digits as ASCII's.</summary>
    private static string Normalized(string text)
    {
        var result = new StringBuilder();
        foreach (var rune in new MarkedText(text).Trim(PythonText.IsSpace).Value.EnumerateRunes())
        {
            if (Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber) result.Append((int)Rune.GetNumericValue(rune));
            else result.Append(rune);
        }

        return result.ToString();
    }
}
