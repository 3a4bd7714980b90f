using System.Globalization;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's <c>'…{}…'.format(…)</c>; the attributes in it are the sandbox's.</summary>
internal static class FormatMethod
{
    public static MarkedText Format(MarkedText format, IReadOnlyList<object> positional, IReadOnlyDictionary<string, object> named)
    {
        var automatic = 0;
        return Format(format, positional, named, ref automatic, depth: 0);
    }

    private static MarkedText Format(MarkedText format, IReadOnlyList<object> positional, IReadOnlyDictionary<string, object> named, ref int automatic, int depth)
    {
        if (depth > 1) throw JinjaError.Value("a format is nested too deep.");
        var text = format.Value;
        var result = new MarkedTextBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is not ('{' or '}'))
            {
                result.Append(format.Substring(i, 1));
            }
            else if (i + 1 < text.Length && text[i + 1] == text[i])
            {
                result.Append(format.Substring(i++, 1));
            }
            else if (text[i] == '}')
            {
                throw JinjaError.Value("a format has a '}' without '{'.");
            }
            else
            {
                var end = FieldEnd(text, i + 1);
                result.Append(Field(format.Substring(i + 1, end - i - 1), positional, named, ref automatic, depth, format.IsMarkup));
                i = end;
            }
        }

        return result.ToText(format.IsMarkup);
    }

    private static int FieldEnd(string text, int from)
    {
        var depth = 1;
        for (var i = from; i < text.Length; i++)
        {
            if (text[i] == '{') depth++;
            else if (text[i] == '}' && --depth == 0) return i;
        }

        throw JinjaError.Value("a format has a '{' without '}'.");
    }

    private static MarkedText Field(MarkedText field, IReadOnlyList<object> positional, IReadOnlyDictionary<string, object> named, ref int automatic, int depth, bool escapes)
    {
        var text = field.Value;
        var nameEnd = 0;
        for (var inBrackets = false; nameEnd < text.Length && (inBrackets || text[nameEnd] is not (':' or '!')); nameEnd++)
        {
            if (text[nameEnd] is '[' or ']') inBrackets = text[nameEnd] == '[';
        }

        var (name, rest) = (text[..nameEnd], nameEnd);
        char? conversion = null;
        if (rest < text.Length && text[rest] == '!')
        {
            if (rest + 1 >= text.Length || (rest + 2 < text.Length && text[rest + 2] != ':')) throw JinjaError.Value("a format has '!' without a conversion.");
            conversion = text[rest + 1];
            rest += 2;
        }

        var value = Lookup(name, positional, named, ref automatic);
        value = conversion switch
        {
            null => value,
            's' => Python.Str(value),
            'r' or 'a' => Python.Repr(value),
            _ => throw JinjaError.Value($"a format has the unknown conversion '{conversion}'."),
        };
        var spec = rest < text.Length ? Format(field.Substring(rest + 1), positional, named, ref automatic, depth + 1).Value : string.Empty;
        var shown = spec.Length == 0 ? Python.Str(value) : FormatSpec.Parse(spec).Apply(value);
        return escapes ? Filters.Escape(shown) : shown.AsPlain();
    }

    private static object Lookup(string name, IReadOnlyList<object> positional, IReadOnlyDictionary<string, object> named, ref int automatic)
    {
        var end = name.AsSpan().IndexOfAny('.', '[');
        var first = end < 0 ? name : name[..end];
        object value;
        if (first.Length == 0 || first.All(char.IsAsciiDigit))
        {
            var index = first.Length == 0 ? automatic++ : int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : int.MaxValue;
            // '{[a]}' and '{.a}' are looked up under the empty name by the sandbox.
            if (first.Length == 0 && end == 0) throw JinjaError.Value("a format names the value ''.");
            value = index < positional.Count ? positional[index] : throw JinjaError.Value($"a format asks for value {index}, but there are {positional.Count}.");
        }
        else
        {
            value = named.TryGetValue(first, out var found) ? found : throw JinjaError.Value($"a format names '{first}', which is not there.");
        }

        for (var position = end < 0 ? name.Length : end; position < name.Length;)
        {
            if (name[position] == '.')
            {
                var stop = name.AsSpan(position + 1).IndexOfAny('.', '[');
                stop = stop < 0 ? name.Length : position + 1 + stop;
                value = Attributes.GetAttribute(value, name[(position + 1)..stop]);
                position = stop;
                continue;
            }

            var close = name.IndexOf(']', position);
            if (name[position] != '[' || close < 0) throw JinjaError.Value($"'{name}' is no name of a value in a format.");
            var key = name[(position + 1)..close];
            value = Attributes.GetElement(value, key.Length > 0 && key.All(char.IsAsciiDigit) ? BigInteger.Parse(key, CultureInfo.InvariantCulture) : new MarkedText(key));
            position = close + 1;
        }

        return value;
    }
}
