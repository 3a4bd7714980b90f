using System.Net;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Filters that work on words and markup.</summary>
internal static partial class TextFilters
{
    /// <summary>Words begin after white space, hyphens and opening brackets; not after apostrophes.</summary>
    public static MarkedText Title(MarkedText text)
    {
        var starts = true;
        return text.Map(point =>
        {
            var result = starts ? PythonText.ToUpper(point) : PythonText.ToLower(point);
            starts = point is '-' or '(' or '{' or '[' or '<' || PythonText.IsSpace(point);
            return result;
        });
    }

    public static object WordCount(MarkedText text) => (BigInteger)Words().Count(text.Value);

    public static MarkedText StripTags(MarkedText text)
    {
        var plain = WebUtility.HtmlDecode(Tags().Replace(Comments().Replace(text.Value, string.Empty), string.Empty));
        var marks = text.Marks is null ? 0 : text.Marks.Aggregate(0, (all, mark) => all | mark) & MarkedText.ConversationBit;

        // What is left cannot be traced to single characters: it is all the conversation's where a part is.
        var parts = StringOperations.Split(new MarkedText(plain), null, -1).Select(part => part.Value);
        return new MarkedTextBuilder().Append(string.Join(' ', parts), marks).ToText();
    }

    public static object UrlEncode(object value)
    {
        if (value is MarkedText || Python.TryIterate(value) is not { } items) return Quote(Python.Str(value), forQuery: false);
        var pairs = value is PythonDict dict ? dict.Select(entry => (entry.Key, entry.Value)) : items.Select(item =>
        {
            var pair = Python.Iterate(item).ToArray();
            return pair.Length == 2 ? (pair[0], pair[1]) : throw JinjaError.Value("urlencode() needs pairs.");
        });
        return StringOperations.Join(new MarkedText("&"), pairs.Select(pair =>
            new MarkedTextBuilder().Append(Quote(Python.Str(pair.Item1), true)).Append("=").Append(Quote(Python.Str(pair.Item2), true)).ToText()));
    }

    public static object WordWrap(CallArguments arguments)
    {
        var bound = arguments.Bind("wordwrap", "s", "width?", "break_long_words?", "wrapstring?", "break_on_hyphens?");
        var (width, breaks, newLine) = (Math.Max(1, bound[1].Int("wordwrap", 79)), bound[2].Truth(true), bound[3] as MarkedText ?? new MarkedText("\n"));
        if (bound[4] is not null) throw new JinjaError(ChatTemplateErrorKind.Unsupported, "wordwrap() with break_on_hyphens is not supported.");
        return StringOperations.Join(newLine, StringOperations.SplitLines(Python.Str(bound[0]!)).Select(line => StringOperations.Join(newLine, Wrapped(line))));

        IEnumerable<MarkedText> Wrapped(MarkedText line)
        {
            var current = MarkedText.Empty;
            foreach (var word in StringOperations.Split(line, " ", -1))
            {
                var rest = word;
                var joined = current.IsEmpty ? rest : new MarkedTextBuilder().Append(current).Append(" ").Append(rest).ToText();
                if (joined.Length <= width)
                {
                    current = joined;
                    continue;
                }

                if (!current.IsEmpty) yield return current;
                for (; breaks && rest.Length > width; rest = rest.Substring(rest.Offset(width))) yield return rest.Substring(0, rest.Offset(width));
                current = rest;
            }

            yield return current;
        }
    }

    private static MarkedText Quote(MarkedText text, bool forQuery) => text.Map(point =>
    {
        if (point < 0x80 && (char.IsAsciiLetterOrDigit((char)point) || point is '_' or '.' or '-' or '~' || (!forQuery && point == '/'))) return ((char)point).ToString();
        if (forQuery && point == ' ') return "+";
        return string.Concat(Encoding.UTF8.GetBytes(PythonText.FromCodePoint(point)).Select(value => $"%{value:X2}"));
    });

    [GeneratedRegex(@"\w+")]
    private static partial Regex Words();

    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex Comments();

    [GeneratedRegex("<.*?>", RegexOptions.Singleline)]
    private static partial Regex Tags();
}
