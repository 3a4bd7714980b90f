using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>The methods of Python's <c>str</c>.</summary>
internal static class StringMethods
{
    private delegate object Method(MarkedText text, CallArguments arguments, string name);

    private static readonly Dictionary<string, Method> Methods = new()
    {
        ["capitalize"] = Simple(Capitalize),
        ["casefold"] = Simple(text => PythonText.ToLower(text.Map(point => point is 0xDF or 0x1E9E ? "ss" : PythonText.FromCodePoint(point)))),
        ["lower"] = Simple(PythonText.ToLower),
        ["swapcase"] = Simple(text => text.Map(point => PythonText.IsUpper(point) ? PythonText.ToLower(point) : PythonText.IsLower(point) ? PythonText.ToUpper(point) : PythonText.FromCodePoint(point))),
        ["title"] = Simple(Title),
        ["upper"] = Simple(text => text.Map(PythonText.ToUpper)),
        ["center"] = (text, arguments, name) => Pad(text, arguments, name, missing => (missing / 2) + (missing & arguments.Positional[0].Int(name) & 1)),
        ["ljust"] = (text, arguments, name) => Pad(text, arguments, name, _ => 0),
        ["rjust"] = (text, arguments, name) => Pad(text, arguments, name, missing => missing),
        ["zfill"] = (text, arguments, name) =>
        {
            var missing = Bounded(arguments.Bind(name, "width")[0].Int(name)) - text.Length;
            if (missing <= 0) return text;
            var sign = text.Value is ['+' or '-', ..] ? 1 : 0;
            return new MarkedTextBuilder().Append(text.Substring(0, sign)).Append(new string('0', missing)).Append(text.Substring(sign)).ToText(text.IsMarkup);
        },
        ["count"] = (text, arguments, name) =>
        {
            var (part, from, to) = Window(text, arguments, name);
            if (from > to) return BigInteger.Zero;
            if (part.Length == 0) return (BigInteger)PythonText.CountCodePoints(text.Value.AsSpan(from, to - from)) + 1;
            var count = 0;
            for (var at = text.Value.IndexOf(part, from, to - from, StringComparison.Ordinal); at >= 0; at = text.Value.IndexOf(part, at + part.Length, to - at - part.Length, StringComparison.Ordinal)) count++;
            return (BigInteger)count;
        },
        ["find"] = (text, arguments, name) => Find(text, arguments, name, last: false),
        ["rfind"] = (text, arguments, name) => Find(text, arguments, name, last: true),
        ["index"] = (text, arguments, name) => Found(Find(text, arguments, name, last: false)),
        ["rindex"] = (text, arguments, name) => Found(Find(text, arguments, name, last: true)),
        ["startswith"] = (text, arguments, name) => Affixed(text, arguments, name, (window, affix) => window.StartsWith(affix, StringComparison.Ordinal)),
        ["endswith"] = (text, arguments, name) => Affixed(text, arguments, name, (window, affix) => window.EndsWith(affix, StringComparison.Ordinal)),
        ["strip"] = (text, arguments, name) => Strip(text, arguments, name, true, true),
        ["lstrip"] = (text, arguments, name) => Strip(text, arguments, name, true, false),
        ["rstrip"] = (text, arguments, name) => Strip(text, arguments, name, false, true),
        ["removeprefix"] = (text, arguments, name) => arguments.Bind(name, "prefix")[0].Text(name).Value is var prefix && text.Value.StartsWith(prefix, StringComparison.Ordinal) ? text.Substring(prefix.Length) : text,
        ["removesuffix"] = (text, arguments, name) => arguments.Bind(name, "suffix")[0].Text(name).Value is var suffix && text.Value.EndsWith(suffix, StringComparison.Ordinal) ? text.Substring(0, text.Value.Length - suffix.Length) : text,
        ["replace"] = (text, arguments, name) =>
        {
            var bound = arguments.Bind(name, "old", "new", "count?");
            return StringOperations.Replace(text, bound[0].Text(name).Value, bound[1].Text(name), bound[2].Int(name, -1));
        },
        ["split"] = (text, arguments, name) => Split(text, arguments, name, StringOperations.Split),
        ["rsplit"] = (text, arguments, name) => Split(text, arguments, name, StringOperations.RightSplit),
        ["splitlines"] = (text, arguments, name) => new PythonList([.. StringOperations.SplitLines(text, arguments.Bind(name, "keepends?")[0].Truth(false))]),
        ["partition"] = (text, arguments, name) => Partition(text, arguments, name, last: false),
        ["rpartition"] = (text, arguments, name) => Partition(text, arguments, name, last: true),
        ["join"] = (text, arguments, name) => StringOperations.Join(text, Python.Iterate(arguments.Bind(name, "iterable")[0]!, "argument of join()").Select((item, index) =>
            item as MarkedText ?? throw JinjaError.Type($"join() needs strings, but element {index} is of type {Python.TypeName(item)}."))),
        ["expandtabs"] = (text, arguments, name) => StringOperations.ExpandTabs(text, arguments.Bind(name, "tabsize?")[0].Int(name, 8)),
        ["format"] = (text, arguments, _) => FormatMethod.Format(text, arguments.Positional, arguments.Named),
        ["format_map"] = (text, arguments, name) => arguments.Bind(name, "mapping")[0] is PythonDict map
            ? FormatMethod.Format(text, [], map.Where(entry => entry.Key is MarkedText).ToDictionary(entry => ((MarkedText)entry.Key).Value, entry => entry.Value))
            : throw JinjaError.Type("format_map() needs a dict."),
        ["encode"] = (text, arguments, name) =>
        {
            var encoding = arguments.Bind(name, "encoding?", "errors?")[0];
            return encoding is null || encoding.Text(name).Value.Replace("-", string.Empty, StringComparison.Ordinal).Equals("utf8", StringComparison.OrdinalIgnoreCase)
                ? new PythonBytes(System.Text.Encoding.UTF8.GetBytes(text.Value))
                : throw new JinjaError(ChatTemplateErrorKind.Unsupported, $"encode('{encoding}') is not supported, only 'utf-8'.");
        },
        ["translate"] = (text, arguments, name) =>
        {
            var table = arguments.Bind(name, "table")[0] as PythonDict ?? throw JinjaError.Type("translate() needs a dict.");
            return text.Map(point => !table.TryGet((BigInteger)point, out var to) ? PythonText.FromCodePoint(point) : to switch
            {
                None => string.Empty,
                MarkedText replacement => replacement.Value,
                _ => PythonText.FromCodePoint(to.Int(name)),
            });
        },
        ["isalnum"] = All(point => PythonText.IsAlpha(point) || PythonText.IsNumeric(point)),
        ["isalpha"] = All(PythonText.IsAlpha),
        ["isdecimal"] = All(PythonText.IsDecimal),
        ["isdigit"] = All(PythonText.IsDigit),
        ["isnumeric"] = All(PythonText.IsNumeric),
        ["isspace"] = All(PythonText.IsSpace),
        ["isascii"] = Ask(text => System.Text.Ascii.IsValid(text.Value)),
        ["isprintable"] = Ask(text => Points(text).All(PythonText.IsPrintable)),
        ["isidentifier"] = Ask(text => PythonText.IsIdentifier(text.Value)),
        ["islower"] = Ask(IsLower),
        ["isupper"] = Ask(IsUpper),
        ["istitle"] = Ask(IsTitle),
    };

    /// <summary>A method of a string; null where it has none of that name.</summary>
    public static PythonFunction? Find(MarkedText text, string name) =>
        Methods.TryGetValue(name, out var method) ? new PythonFunction(name, arguments => method(text, arguments, name)) : null;

    public static MarkedText Capitalize(MarkedText text)
    {
        if (text.IsEmpty) return text;
        var lowered = PythonText.ToLower(text);
        var size = PythonText.SizeAt(text.Value, 0);
        var rest = PythonText.ToLower(new MarkedText(text.Value[..size])).Value.Length;
        return new MarkedTextBuilder().Append(text.Substring(0, size).Map(PythonText.ToTitle)).Append(lowered.Substring(rest)).ToText(text.IsMarkup);
    }

    public static MarkedText Title(MarkedText text)
    {
        var inWord = false;
        return text.Map(point =>
        {
            var result = inWord ? PythonText.ToLower(point) : PythonText.ToTitle(point);
            inWord = PythonText.IsCased(point);
            return result;
        });
    }

    public static bool IsLower(MarkedText text) => Points(text).Any(PythonText.IsLower) && !Points(text).Any(point => PythonText.IsCased(point) && !PythonText.IsLower(point));

    public static bool IsUpper(MarkedText text) => Points(text).Any(PythonText.IsUpper) && !Points(text).Any(point => PythonText.IsCased(point) && !PythonText.IsUpper(point));

    private static bool IsTitle(MarkedText text)
    {
        var (any, inWord) = (false, false);
        foreach (var point in Points(text))
        {
            if (PythonText.IsLower(point) ? !inWord : PythonText.IsCased(point) && inWord) return false;
            inWord = PythonText.IsCased(point);
            any |= inWord;
        }

        return any;
    }

    private static IEnumerable<int> Points(MarkedText text)
    {
        for (var i = 0; i < text.Value.Length; i += PythonText.SizeAt(text.Value, i)) yield return PythonText.CodePointAt(text.Value, i);
    }

    private static Method Simple(Func<MarkedText, MarkedText> change) => (text, arguments, name) =>
    {
        arguments.BindNone(name);
        return change(text);
    };

    private static Method Ask(Func<MarkedText, bool> question) => (text, arguments, name) =>
    {
        arguments.BindNone(name);
        return question(text);
    };

    private static Method All(Func<int, bool> question) => Ask(text => !text.IsEmpty && Points(text).All(question));

    private static MarkedText Pad(MarkedText text, CallArguments arguments, string name, Func<int, int> left)
    {
        var bound = arguments.Bind(name, "width", "fillchar?");
        var fill = bound[1] is null ? new MarkedText(" ") : bound[1].Text(name);
        if (fill.Length != 1) throw JinjaError.Type($"{name}() fills with one character.");
        var missing = Bounded(bound[0].Int(name)) - text.Length;
        if (missing <= 0) return text;
        var before = left(missing);
        var result = new MarkedTextBuilder();
        for (var i = 0; i < before; i++) result.Append(fill);
        result.Append(text);
        for (var i = before; i < missing; i++) result.Append(fill);
        return result.ToText(text.IsMarkup);
    }

    private static int Bounded(int width) => width <= 1 << 20 ? width : throw new JinjaError(ChatTemplateErrorKind.Limit, "a string would be padded to more than 1048576 characters.");

    private static (string Part, int From, int To) Window(MarkedText text, CallArguments arguments, string name)
    {
        var bound = arguments.Bind(name, "sub", "start?", "end?");
        var (from, to) = Window(text, bound[1], bound[2], name);
        return (bound[0].Text(name).Value, from, to);
    }

    /// <summary>A window in UTF-16 units; its end is before its start where the start lies beyond the string.</summary>
    private static (int From, int To) Window(MarkedText text, object? start, object? end, string name)
    {
        var length = text.Length;
        int Position(object? value, int absent)
        {
            var at = value is null or None ? absent : value.Int(name);
            return at < 0 ? Math.Max(0, at + length) : at;
        }

        var (from, to) = (Position(start, 0), Math.Min(length, Position(end, length)));
        return from > length ? (1, 0) : (text.Offset(from), text.Offset(to));
    }

    private static BigInteger Find(MarkedText text, CallArguments arguments, string name, bool last)
    {
        var (part, from, to) = Window(text, arguments, name);
        if (from > to) return BigInteger.MinusOne;
        var window = text.Value.AsSpan(from, to - from);
        var at = last ? window.LastIndexOf(part, StringComparison.Ordinal) : window.IndexOf(part, StringComparison.Ordinal);
        if (last && part.Length == 0) at = window.Length;
        return at < 0 ? BigInteger.MinusOne : text.CodePointIndex(from + at);
    }

    private static object Found(BigInteger at) => at >= 0 ? at : throw JinjaError.Value("the substring was not found.");

    private static object Affixed(MarkedText text, CallArguments arguments, string name, Func<string, string, bool> test)
    {
        var bound = arguments.Bind(name, "affix", "start?", "end?");
        var (from, to) = Window(text, bound[1], bound[2], name);
        if (from > to) return false;
        var window = text.Value[from..to];
        return bound[0] is PythonTuple tuple ? tuple.Any(affix => test(window, affix.Text(name).Value)) : test(window, bound[0].Text(name).Value);
    }

    private static MarkedText Strip(MarkedText text, CallArguments arguments, string name, bool start, bool end)
    {
        var characters = arguments.Bind(name, "chars?")[0];
        return StringOperations.Strip(text, characters is null or None ? null : characters.Text(name), start, end);
    }

    private static PythonList Split(MarkedText text, CallArguments arguments, string name, Func<MarkedText, string?, int, IEnumerable<MarkedText>> split)
    {
        var bound = arguments.Bind(name, "sep?", "maxsplit?");
        var separator = bound[0] is null or None ? null : bound[0].Text(name).Value;
        if (separator is { Length: 0 }) throw JinjaError.Value("split() needs a separator that is not empty.");
        return new PythonList([.. split(text, separator, bound[1].Int(name, -1))]);
    }

    private static PythonTuple Partition(MarkedText text, CallArguments arguments, string name, bool last)
    {
        var separator = arguments.Bind(name, "sep")[0].Text(name);
        if (separator.IsEmpty) throw JinjaError.Value($"{name}() needs a separator that is not empty.");
        var at = last ? text.Value.LastIndexOf(separator.Value, StringComparison.Ordinal) : text.Value.IndexOf(separator.Value, StringComparison.Ordinal);
        if (at >= 0) return new PythonTuple(text.Substring(0, at), text.Substring(at, separator.Value.Length), text.Substring(at + separator.Value.Length));
        return last ? new PythonTuple(MarkedText.Empty, MarkedText.Empty, text) : new PythonTuple(text, MarkedText.Empty, MarkedText.Empty);
    }
}
