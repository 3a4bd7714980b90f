using System.Numerics;
using System.Text.RegularExpressions;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's <c>format % values</c>.</summary>
internal static partial class PercentFormat
{
    public static MarkedText Format(MarkedText format, object values)
    {
        var result = new MarkedTextBuilder();
        var positional = values is PythonTuple tuple ? tuple : new PythonList([values]);
        var (next, position) = (0, 0);
        while (position < format.Value.Length)
        {
            var at = format.Value.IndexOf('%', position);
            result.Append(format.Substring(position, (at < 0 ? format.Value.Length : at) - position));
            if (at < 0) break;
            var match = Conversion().Match(format.Value, at);
            if (!match.Success) throw JinjaError.Value($"'{format.Value[at..]}' is no conversion of a '%' format.");
            position = at + match.Length;
            var conversion = match.Groups["type"].Value[0];
            if (conversion == '%')
            {
                result.Append(format.Substring(position - 1, 1));
                continue;
            }

            var flags = match.Groups["flags"].Value;
            var width = Size(match.Groups["width"]);
            var precision = match.Groups["dot"].Success ? Size(match.Groups["precision"]) ?? 0 : (int?)null;
            var key = match.Groups["key"];
            var value = key.Success ? Named(key.Value) : Next();
            result.Append(Convert(value, conversion, flags, width ?? 0, precision, format.IsMarkup));
        }

        if (next < positional.Count && values is not PythonDict && !(values is not PythonTuple && next == 0 && values is PythonList)) throw JinjaError.Type("not all values were used by the '%' format.");
        return result.ToText(format.IsMarkup);

        object Next() => next < positional.Count ? positional[next++] : throw JinjaError.Type("there are not enough values for the '%' format.");

        int? Size(Group group)
        {
            if (!group.Success || group.Length == 0) return null;
            if (group.Value == "*") return Python.SmallInteger(Next(), "a width") is var size and <= 1 << 16 ? size : throw JinjaError.Value("a '%' format is too wide.");
            return int.TryParse(group.ValueSpan, out var fixedSize) && fixedSize <= 1 << 16 ? fixedSize : throw JinjaError.Value("a '%' format is too wide.");
        }

        object Named(string name) => values is PythonDict dict
            ? dict.TryGet(name, out var value) ? value : throw JinjaError.Value($"the '%' format names '{name}', which is not there.")
            : throw JinjaError.Type("a '%' format with names needs a dict.");
    }

    private static MarkedText Convert(object value, char conversion, string flags, int width, int? precision, bool escapes)
    {
        var align = flags.Contains('-') ? '<' : (char?)null;
        var sign = flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : '-';
        switch (conversion)
        {
            case 's' or 'r' or 'a':
                var text = conversion == 's' ? Python.Str(value) : Python.Repr(value);
                if (escapes) text = Filters.Escape(text);
                return new FormatSpec(" ", align ?? '>', '-', false, width, null, precision, null).Apply(text.AsPlain());
            case 'c':
                var character = value is MarkedText { Length: 1 } one ? one : new MarkedText(PythonText.FromCodePoint(Python.SmallInteger(value, "%c")));
                return new FormatSpec(" ", align ?? '>', '-', false, width, null, null, null).Apply(character.AsPlain());
        }

        if (value is not double && !Python.TryInteger(value, out _)) throw JinjaError.Type($"'%{conversion}' needs a number, not {Python.TypeName(value)}.");
        var zero = flags.Contains('0') && align is null;
        var spec = new FormatSpec(zero ? "0" : " ", align ?? (zero ? '=' : '>'), sign, flags.Contains('#'), width, null, precision, conversion);
        if (conversion is 'd' or 'i' or 'u' or 'x' or 'X' or 'o')
        {
            if (value is double number) value = conversion is 'd' or 'i' or 'u' && double.IsFinite(number) ? new BigInteger(Math.Truncate(number)) : throw JinjaError.Type($"'%{conversion}' needs an integer.");
            Python.TryInteger(value, out var integer);
            if (precision is { } least)
            {
                // Here a precision is the least number of digits.
                var digits = (spec with { Width = 0, Precision = null, Sign = '-', Align = null, Type = Letter() }).Apply(BigInteger.Abs(integer)).Value.PadLeft(least, '0');
                var signed = (integer < 0 ? "-" : sign == '-' ? string.Empty : sign.ToString()) + digits;
                return new FormatSpec(" ", align ?? '>', '-', false, width, null, null, null).Apply(new MarkedText(signed));
            }

            return (spec with { Type = Letter() }).Apply(integer);
        }

        return spec.Apply(value is double ? value : Arithmetic.ToDouble(value.Integer("%")));

        char Letter() => conversion is 'i' or 'u' ? 'd' : conversion;
    }

    [GeneratedRegex(@"\G%(?:\((?<key>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>\*|[0-9]+)?(?<dot>\.(?<precision>\*|[0-9]*))?[hlL]?(?<type>[diouxXeEfFgGcrsa%])")]
    private static partial Regex Conversion();
}
