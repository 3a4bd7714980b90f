using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;

namespace Fossil.Models.Chat.Jinja;

/// <summary>JSON in and out: what a conversation's JSON is as Python's values, and <c>json.dumps</c> (the filter <c>tojson</c> as transformers defines it).</summary>
internal static class JsonText
{
    private const int MaxNesting = 200;

    /// <summary>A JSON value as Python's <c>json.loads</c> has it; its strings are marked as the conversation's.</summary>
    public static object FromConversation(JsonNode? node) => node switch
    {
        null => None.Value,
        JsonArray array => new PythonList([.. array.Select(FromConversation)]),
        JsonObject map => map.Aggregate(new PythonDict(), (dict, entry) =>
        {
            dict.Set(MarkedText.FromConversation(entry.Key), FromConversation(entry.Value));
            return dict;
        }),
        _ => node.GetValueKind() switch
        {
            System.Text.Json.JsonValueKind.String => MarkedText.FromConversation(node.GetValue<string>()),
            System.Text.Json.JsonValueKind.True => true,
            System.Text.Json.JsonValueKind.False => false,
            System.Text.Json.JsonValueKind.Number => Number(node.ToJsonString()),
            _ => None.Value,
        },
    };

    /// <summary>A number with a fraction or an exponent is a float, another an integer.</summary>
    private static object Number(string text) => text.AsSpan().IndexOfAny('.', 'e', 'E') < 0
        ? BigInteger.Parse(text, CultureInfo.InvariantCulture)
        : double.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Python's <c>json.dumps</c>.</summary>
    /// <param name="value">The value.</param>
    /// <param name="ensureAscii">Whether other characters are escaped.</param>
    /// <param name="indent">What each level is indented by; null for one line.</param>
    /// <param name="separators">Between items, and between a key and its value.</param>
    /// <param name="sortKeys">Whether dictionaries are sorted by their keys.</param>
    public static MarkedText Dump(object value, bool ensureAscii, MarkedText? indent, (MarkedText Item, MarkedText Key) separators, bool sortKeys)
    {
        var result = new MarkedTextBuilder();
        Write(value, 0);
        return result.ToText();

        void Write(object item, int depth)
        {
            if (depth > MaxNesting) throw new JinjaError(ChatTemplateErrorKind.Limit, $"a value is nested more than {MaxNesting} levels deep.");
            switch (item)
            {
                case None:
                    result.Append("null");
                    break;
                case bool truth:
                    result.Append(truth ? "true" : "false");
                    break;
                case BigInteger integer:
                    result.Append(integer.ToString(CultureInfo.InvariantCulture));
                    break;
                case double number:
                    result.Append(Float(number));
                    break;
                case MarkedText text:
                    WriteString(text);
                    break;
                case PythonList list:
                    Group('[', ']', list.Count, list, element => Write(element, depth + 1), depth);
                    break;
                case PythonDict dict:
                    var entries = dict.Select(entry => (Key: Key(entry.Key), Source: entry.Key, entry.Value));
                    if (sortKeys) entries = entries.OrderBy(entry => entry.Source, Comparer<object>.Create((x, y) => Python.Compare(x, y, "<") ?? 0));
                    Group('{', '}', dict.Count, entries, entry =>
                    {
                        WriteString(entry.Key);
                        result.Append(separators.Key);
                        Write(entry.Value, depth + 1);
                    }, depth);
                    break;
                default:
                    throw JinjaError.Type($"a value of type {Python.TypeName(item)} has no JSON.");
            }
        }

        void Group<T>(char open, char close, int count, IEnumerable<T> items, Action<T> write, int depth)
        {
            result.Append(open);
            var first = true;
            foreach (var item in items)
            {
                if (!first) result.Append(separators.Item);
                first = false;
                NewLine(depth + 1);
                write(item);
            }

            if (count > 0) NewLine(depth);
            result.Append(close);
        }

        void NewLine(int depth)
        {
            if (indent is null) return;
            result.Append("\n");
            for (var i = 0; i < depth; i++) result.Append(indent);
        }

        void WriteString(MarkedText text)
        {
            result.Append("\"");
            for (var i = 0; i < text.Value.Length; i++)
            {
                var (character, mark) = (text.Value[i], text.MarkAt(i) & ~MarkedText.GenerationStartBit);
                var escaped = character switch
                {
                    '"' => "\\\"",
                    '\\' => @"\\",
                    '\n' => @"\n",
                    '\r' => @"\r",
                    '\t' => @"\t",
                    '\b' => @"\b",
                    '\f' => @"\f",
                    < ' ' => $"\\u{(int)character:x4}",
                    > '~' when ensureAscii => $"\\u{(int)character:x4}",
                    _ => character.ToString(),
                };
                result.Append(escaped, mark);
            }

            result.Append("\"");
        }
    }

    private static MarkedText Key(object key) => key switch
    {
        MarkedText text => text,
        None => new MarkedText("null"),
        bool truth => new MarkedText(truth ? "true" : "false"),
        BigInteger integer => new MarkedText(integer.ToString(CultureInfo.InvariantCulture)),
        double number => new MarkedText(Float(number)),
        _ => throw JinjaError.Type($"a {Python.TypeName(key)} cannot be a key in JSON."),
    };

    private static string Float(double number) => double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity" : Python.FloatRepr(number);
}
