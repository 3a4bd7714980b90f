using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's format mini-language, <c>[[fill]align][sign][#][0][width][,|_][.precision][type]</c>, and the flags of <c>%</c> put into its terms.</summary>
internal sealed partial record FormatSpec(string Fill, char? Align, char Sign, bool Alternate, int Width, char? Grouping, int? Precision, char? Type)
{
    private const int MaxWidth = 1 << 16;

    public static FormatSpec Parse(string text)
    {
        var match = Pattern().Match(text);
        if (!match.Success) throw JinjaError.Value($"'{text}' is no format.");
        char? Letter(string group) => match.Groups[group] is { Success: true } found ? found.Value[0] : null;
        int? Number(string group) => match.Groups[group] is { Success: true } found
            ? int.TryParse(found.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value <= MaxWidth ? value : throw JinjaError.Value($"the format '{text}' asks for more than {MaxWidth} characters.")
            : null;
        var zero = match.Groups["zero"].Success;
        var align = Letter("align") ?? (zero ? '=' : null);
        var fill = match.Groups["fill"] is { Success: true } given ? given.Value : zero ? "0" : " ";
        return new FormatSpec(fill, align, Letter("sign") ?? '-', match.Groups["alt"].Success, Number("width") ?? 0, Letter("group"), Number("precision"), Letter("type"));
    }

    /// <summary>A value in this form; a string keeps its marks.</summary>
    public MarkedText Apply(object value) => value switch
    {
        MarkedText text => Text(text),
        double number => Number(Float(number), number < 0 || double.IsNegative(number)),
        BigInteger or bool when Type is null && value is bool && Width == 0 => Python.Str(value),
        BigInteger or bool => Python.TryInteger(value, out var integer) && Type is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%' ? Apply(Arithmetic.ToDouble(integer)) : Integer(integer),
        Undefined => Text(MarkedText.Empty),
        _ when this == Plain => Python.Str(value),
        _ => throw JinjaError.Type($"a {Python.TypeName(value)} takes no format."),
    };

    private static readonly FormatSpec Plain = new(" ", null, '-', false, 0, null, null, null);

    private MarkedText Text(MarkedText text)
    {
        if (Type is not (null or 's')) throw JinjaError.Value($"the format '{Type}' is not for strings.");
        if (Align == '=') throw JinjaError.Value("'=' aligns numbers, not strings.");
        var shown = Precision is { } precision && precision < text.Length ? text.Substring(0, text.Offset(precision)) : text;
        return Pad(shown, Align ?? '<');
    }

    private MarkedText Integer(BigInteger value)
    {
        if (Precision is not null) throw JinjaError.Value("integers have no precision.");
        var magnitude = BigInteger.Abs(value);
        var digits = Type switch
        {
            null or 'd' or 'n' => Grouped(magnitude.ToString(CultureInfo.InvariantCulture), 3),
            'x' => Prefixed("0x", Grouped(Hexadecimal(magnitude), 4)),
            'X' => Prefixed("0X", Grouped(Hexadecimal(magnitude).ToUpperInvariant(), 4)),
            'o' => Prefixed("0o", Grouped(Digits(magnitude, 8), 4)),
            'b' => Prefixed("0b", Grouped(Digits(magnitude, 2), 4)),
            'c' when magnitude <= 0x10FFFF => PythonText.FromCodePoint((int)magnitude),
            _ => throw JinjaError.Value($"the format '{Type}' is not for integers."),
        };
        return Number(digits, value < 0);

        string Prefixed(string prefix, string digits) => Alternate ? prefix + digits : digits;
    }

    private string Float(double value)
    {
        var magnitude = Math.Abs(value);
        if (!double.IsFinite(magnitude)) return (double.IsNaN(magnitude) ? "nan" : "inf") + (Type == '%' ? "%" : string.Empty);
        switch (Type)
        {
            case 'f' or 'F':
                return Grouped(ExactFloat.Fixed(magnitude, Precision ?? 6), 3);
            case '%':
                return Grouped(ExactFloat.Fixed(magnitude * 100, Precision ?? 6), 3) + "%";
            case 'e' or 'E':
                return Scientific(magnitude, Precision ?? 6, char.ToLowerInvariant(Type.Value) != Type);
            case 'g' or 'G' or 'n':
                return General(magnitude, Precision ?? 6, Type == 'G');
            case null:
                return Precision is { } precision ? Fraction(General(magnitude, precision, false)) : Grouped(Python.FloatRepr(magnitude), 3);
            default:
                throw JinjaError.Value($"the format '{Type}' is not for floats.");
        }
    }

    private static string Fraction(string number) => number.Contains('.') || number.Contains('e') ? number : number + ".0";

    private static string Scientific(double magnitude, int precision, bool upper)
    {
        var text = magnitude.ToString((upper ? "E" : "e") + precision, CultureInfo.InvariantCulture);
        var at = text.IndexOf(upper ? 'E' : 'e', StringComparison.Ordinal);
        var exponent = int.Parse(text[(at + 1)..], CultureInfo.InvariantCulture);
        return $"{text[..(at + 1)]}{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }

    private string General(double magnitude, int precision, bool upper)
    {
        precision = Math.Max(1, precision);
        var scientific = Scientific(magnitude, precision - 1, upper);
        var at = scientific.IndexOf(upper ? 'E' : 'e', StringComparison.Ordinal);
        var exponent = int.Parse(scientific[(at + 1)..], CultureInfo.InvariantCulture);
        if (exponent < -4 || exponent >= precision) return Trimmed(scientific[..at]) + scientific[at..];
        return Grouped(Trimmed(ExactFloat.Fixed(magnitude, precision - 1 - exponent)), 3);

        string Trimmed(string digits) => !Alternate && digits.Contains('.') ? digits.TrimEnd('0').TrimEnd('.') : digits;
    }

    private string Grouped(string digits, int size)
    {
        if (Grouping is not { } separator) return digits;
        var end = digits.TakeWhile(char.IsAsciiHexDigit).Count();
        var result = digits;
        for (var at = end - size; at > 0; at -= size) result = result.Insert(at, separator.ToString());
        return result;
    }

    private MarkedText Number(string digits, bool negative)
    {
        var sign = negative ? "-" : Sign == '+' ? "+" : Sign == ' ' ? " " : string.Empty;
        if (Align is not (null or '=')) return Pad(new MarkedText(sign + digits), Align.Value);
        var missing = Math.Max(0, Width - sign.Length - digits.Length);
        return new MarkedText(Align is null ? string.Concat(Enumerable.Repeat(Fill, missing)) + sign + digits : sign + string.Concat(Enumerable.Repeat(Fill, missing)) + digits);
    }

    private MarkedText Pad(MarkedText text, char align)
    {
        var missing = Width - text.Length;
        if (missing <= 0) return text.AsPlain();
        var before = align switch { '<' => 0, '^' => missing / 2, _ => missing };
        return new MarkedTextBuilder().Append(string.Concat(Enumerable.Repeat(Fill, before))).Append(text).Append(string.Concat(Enumerable.Repeat(Fill, missing - before))).ToText();
    }

    private static string Hexadecimal(BigInteger value) => value.ToString("x", CultureInfo.InvariantCulture).TrimStart('0') is { Length: > 0 } digits ? digits : "0";

    private static string Digits(BigInteger value, int radix)
    {
        var digits = new Stack<char>();
        do
        {
            digits.Push((char)('0' + (int)(value % radix)));
            value /= radix;
        }
        while (!value.IsZero);
        return string.Concat(digits);
    }

    [GeneratedRegex(@"^(?:(?<fill>[\uD800-\uDBFF][\uDC00-\uDFFF]|.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alt>\#)?(?<zero>0)?(?<width>[0-9]+)?(?<group>[,_])?(?:\.(?<precision>[0-9]+))?(?<type>[a-zA-Z%])?$", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
