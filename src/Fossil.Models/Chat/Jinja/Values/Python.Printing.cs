using System.Globalization;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <content>Printing: <c>str</c> and <c>repr</c>.</content>
internal static partial class Python
{
    /// <summary>Levels of lists in lists that are printed.</summary>
    private const int MaxNesting = 200;

    /// <summary>Python's <c>str(value)</c>.</summary>
    public static MarkedText Str(object value) => value switch
    {
        MarkedText text => text,
        Undefined => MarkedText.Empty,
        _ => Repr(value),
    };

    /// <summary>Python's <c>repr(value)</c>; the strings in it keep their marks.</summary>
    public static MarkedText Repr(object value)
    {
        var result = new MarkedTextBuilder();
        Repr(value, result, 0);
        return result.ToText();
    }

    private static void Repr(object value, MarkedTextBuilder result, int depth)
    {
        if (depth > MaxNesting) throw new JinjaError(ChatTemplateErrorKind.Limit, $"a value is nested more than {MaxNesting} levels deep.");
        switch (value)
        {
            case MarkedText text:
                if (text.IsMarkup) result.Append("Markup(");
                ReprString(text, result);
                if (text.IsMarkup) result.Append(")");
                break;
            case PythonList list:
                result.Append(list.IsTuple ? "(" : "[");
                Separated(list, item => Repr(item, result, depth + 1));
                if (list.IsTuple && list.Count == 1) result.Append(",");
                result.Append(list.IsTuple ? ")" : "]");
                break;
            case PythonDict dict:
                result.Append("{");
                Separated(dict, entry =>
                {
                    Repr(entry.Key, result, depth + 1);
                    result.Append(": ");
                    Repr(entry.Value, result, depth + 1);
                });
                result.Append("}");
                break;
            case DictView view:
                result.Append($"dict_{view.Kind}([");
                Separated(view.Items, item => Repr(item, result, depth + 1));
                result.Append("])");
                break;
            case Namespace space:
                result.Append("<Namespace ");
                Repr(space.Attributes, result, depth + 1);
                result.Append(">");
                break;
            default:
                result.Append(ReprPlain(value));
                break;
        }

        void Separated<T>(IEnumerable<T> items, Action<T> write)
        {
            var first = true;
            foreach (var item in items)
            {
                if (!first) result.Append(", ");
                first = false;
                write(item);
            }
        }
    }

    private static string ReprPlain(object value) => value switch
    {
        None => "None",
        bool truth => truth ? "True" : "False",
        BigInteger integer => integer.ToString(CultureInfo.InvariantCulture),
        double number => FloatRepr(number),
        PythonRange range => range.Step.IsOne ? $"range({range.Start}, {range.Stop})" : $"range({range.Start}, {range.Stop}, {range.Step})",
        Undefined => "Undefined",
        PythonBytes bytes => $"b'{string.Concat(bytes.Value.Select(b => b is >= 32 and < 127 and not 39 and not 92 ? ((char)b).ToString() : $"\\x{b:x2}"))}'",
        LoopContext loop => $"<LoopContext {loop.Index}/{loop.Length}>",
        Macro macro => $"<Macro '{macro.Name}'>",
        PythonFunction function => $"<function {function.Name}>",
        _ => $"<{TypeName(value)} object>",
    };

    private static void ReprString(MarkedText text, MarkedTextBuilder result)
    {
        var quote = text.Value.Contains('\'') && !text.Value.Contains('"') ? '"' : '\'';
        result.Append(quote);
        for (var i = 0; i < text.Value.Length;)
        {
            var (point, size) = (PythonText.CodePointAt(text.Value, i), PythonText.SizeAt(text.Value, i));
            var printed = point switch
            {
                '\\' => @"\\",
                '\n' => @"\n",
                '\r' => @"\r",
                '\t' => @"\t",
                _ when point == quote => "\\" + quote,
                _ when PythonText.IsPrintable(point) => PythonText.FromCodePoint(point),
                < 0x100 => $"\\x{point:x2}",
                < 0x10000 => $"\\u{point:x4}",
                _ => $"\\U{point:x8}",
            };
            result.Append(printed, text.MarkAt(i) & ~MarkedText.GenerationStartBit);
            i += size;
        }

        result.Append(quote);
    }
}
