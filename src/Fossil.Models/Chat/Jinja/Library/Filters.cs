using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Jinja's filters (<c>jinja2/filters.py</c>): what may follow <c>|</c>. Here those on single values; those on sequences are in <see cref="SequenceFilters"/>.</summary>
internal static class Filters
{
    private static readonly string[] Unsupported = ["pprint", "random", "urlize", "xmlattr"];

    private static readonly Dictionary<string, Func<CallArguments, object>> Own = new()
    {
        ["abs"] = Abs,
        ["attr"] = arguments => arguments.Bind("attr", "obj", "name") is var bound ? Attributes.GetAttributeOnly(bound[0]!, Python.Str(bound[1]!).Value) : null!,
        ["capitalize"] = OfText("capitalize", StringMethods.Capitalize),
        ["center"] = arguments => arguments.Bind("center", "value", "width?") is var bound ? Call(Python.Str(bound[0]!), "center", arguments, bound[1] ?? (BigInteger)80) : null!,
        ["d"] = Default,
        ["default"] = Default,
        ["e"] = arguments => Escape(arguments.Bind("escape", "value")[0]!),
        ["escape"] = arguments => Escape(arguments.Bind("escape", "value")[0]!),
        ["filesizeformat"] = FileSize,
        ["float"] = Float,
        ["forceescape"] = arguments => Escape(Python.Str(arguments.Bind("forceescape", "value")[0]!).AsPlain()),
        ["format"] = Format,
        ["indent"] = Indent,
        ["int"] = Int,
        ["length"] = Length,
        ["count"] = Length,
        ["lower"] = OfText("lower", PythonText.ToLower),
        ["replace"] = Replace,
        ["round"] = Round,
        ["safe"] = arguments => Python.Str(arguments.Bind("safe", "value")[0]!).AsMarkup(),
        ["string"] = arguments => Python.Str(arguments.Bind("string", "object")[0]!),
        ["striptags"] = OfText("striptags", TextFilters.StripTags),
        ["title"] = OfText("title", TextFilters.Title),
        ["tojson"] = ToJson,
        ["trim"] = arguments => arguments.Bind("trim", "value", "chars?") is var bound ? StringOperations.Strip(Python.Str(bound[0]!), bound[1] is null or None ? null : bound[1].Text("trim")) : null!,
        ["truncate"] = Truncate,
        ["upper"] = OfText("upper", text => text.Map(PythonText.ToUpper)),
        ["urlencode"] = arguments => TextFilters.UrlEncode(arguments.Bind("urlencode", "value")[0]!),
        ["wordcount"] = arguments => TextFilters.WordCount(Python.Str(arguments.Bind("wordcount", "s")[0]!)),
        ["wordwrap"] = TextFilters.WordWrap,
    };

    public static bool Exists(string name) => Own.ContainsKey(name) || SequenceFilters.Find(name) is not null || Unsupported.Contains(name);

    /// <summary>Runs a filter; the value is the first argument.</summary>
    /// <exception cref="JinjaError">There is no such filter, or the value or the arguments do not fit it.</exception>
    public static object Run(string name, CallArguments arguments)
    {
        if (Own.TryGetValue(name, out var filter) || (filter = SequenceFilters.Find(name)) is not null) return filter(arguments);
        if (Unsupported.Contains(name)) throw new JinjaError(ChatTemplateErrorKind.Unsupported, $"the filter '{name}' is not supported.");
        throw JinjaError.Runtime($"there is no filter '{name}'.");
    }

    /// <summary>markupsafe's <c>escape</c>.</summary>
    public static MarkedText Escape(object value)
    {
        var text = Python.Str(value);
        if (text.IsMarkup) return text;
        return text.Map(point => point switch
        {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&#34;",
            '\'' => "&#39;",
            _ => PythonText.FromCodePoint(point),
        }).AsMarkup();
    }

    private static Func<CallArguments, object> OfText(string name, Func<MarkedText, MarkedText> change) => arguments => change(Python.Str(arguments.Bind(name, "s")[0]!));

    private static object Call(MarkedText text, string method, CallArguments arguments, params IReadOnlyList<object> values) => StringMethods.Find(text, method)!.Call(new CallArguments(arguments.Context, values));

    private static object Abs(CallArguments arguments) => arguments.Bind("abs", "value")[0] switch
    {
        double number => Math.Abs(number),
        var value => Python.TryInteger(value!, out var integer) ? BigInteger.Abs(integer) : throw JinjaError.Type($"a {Python.TypeName(value!)} has no absolute value."),
    };

    private static object Default(CallArguments arguments)
    {
        var bound = arguments.Bind("default", "value", "default_value?", "boolean?");
        return bound[0] is Undefined || (bound[2].Truth(false) && !Python.IsTrue(bound[0]!)) ? bound[1] ?? MarkedText.Empty : bound[0]!;
    }

    private static object Float(CallArguments arguments)
    {
        var bound = arguments.Bind("float", "value", "default?");
        return Numbers.TryFloat(bound[0]!, out var number) ? number : bound[1] ?? 0.0;
    }

    private static object Int(CallArguments arguments)
    {
        var bound = arguments.Bind("int", "value", "default?", "base?");
        if (bound[0] is MarkedText text && Numbers.TryParseInteger(text.Value, bound[2].Int("int", 10), out var parsed)) return parsed;
        if (bound[0] is Undefined missing) throw missing.Error();
        if (Python.TryInteger(bound[0]!, out var integer)) return integer;
        return Numbers.TryFloat(bound[0]!, out var number) && double.IsFinite(number) ? new BigInteger(Math.Truncate(number)) : bound[1] ?? BigInteger.Zero;
    }

    private static object Round(CallArguments arguments)
    {
        var bound = arguments.Bind("round", "value", "precision?", "method?");
        var (precision, method) = (bound[1].Int("round", 0), bound[2] is null ? "common" : bound[2].Text("round").Value);
        if (method is not ("common" or "ceil" or "floor")) throw JinjaError.Runtime("round() rounds 'common', 'ceil' or 'floor'.");
        var isInteger = Python.TryInteger(bound[0]!, out var integer);
        if (!isInteger && bound[0] is not double) throw JinjaError.Type($"round() needs a number, not {Python.TypeName(bound[0]!)}.");
        if (method == "common")
        {
            if (!isInteger) return ExactFloat.Round((double)bound[0]!, precision);
            if (precision >= 0) return integer;
            var unit = BigInteger.Pow(10, Math.Min(400, -precision));
            var quotient = BigInteger.DivRem(BigInteger.Abs(integer), unit, out var rest);
            var half = (rest * 2).CompareTo(unit);
            return (half > 0 || (half == 0 && !quotient.IsEven) ? quotient + 1 : quotient) * unit * integer.Sign;
        }

        var scale = Math.Pow(10, precision);
        var scaled = (isInteger ? Arithmetic.ToDouble(integer) : (double)bound[0]!) * scale;
        return (method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled)) / scale;
    }

    private static object Length(CallArguments arguments)
    {
        var value = arguments.Bind("length", "obj")[0]!;
        return Python.Length(value) is { } length ? length : throw JinjaError.Type($"a {Python.TypeName(value)} has no length.");
    }

    private static object Replace(CallArguments arguments)
    {
        var bound = arguments.Bind("replace", "s", "old", "new", "count?");
        return StringOperations.Replace(Python.Str(bound[0]!).AsPlain(), Python.Str(bound[1]!).Value, Python.Str(bound[2]!), bound[3] is null or None ? -1 : bound[3].Int("replace"));
    }

    private static object Format(CallArguments arguments)
    {
        if (arguments.Positional.Count > 1 && arguments.Named.Count > 0) throw JinjaError.Runtime("format() takes values with names or without, not both.");
        object values = new PythonTuple([.. arguments.Positional.Skip(1)]);
        if (arguments.Named.Count > 0)
        {
            var named = new PythonDict();
            foreach (var (name, value) in arguments.Named) named[name] = value;
            values = named;
        }

        return PercentFormat.Format(Python.Str(arguments.Positional[0]), values);
    }

    private static object Indent(CallArguments arguments)
    {
        var bound = arguments.Bind("indent", "s", "width?", "first?", "blank?");
        var indention = bound[1] as MarkedText ?? new MarkedText(new string(' ', Math.Clamp(bound[1].Int("indent", 4), 0, 1 << 16)));
        var (first, blank) = (bound[2].Truth(false), bound[3].Truth(false));
        var text = Python.Str(bound[0]!);
        var lines = StringOperations.SplitLines(new MarkedTextBuilder().Append(text).Append("\n").ToText()).ToList();
        var result = new MarkedTextBuilder();
        for (var i = 0; i < lines.Count; i++)
        {
            if (i > 0) result.Append("\n");
            if (i == 0 ? first : blank || !lines[i].IsEmpty) result.Append(indention);
            result.Append(lines[i]);
        }

        return result.ToText(text.IsMarkup);
    }

    private static object Truncate(CallArguments arguments)
    {
        var bound = arguments.Bind("truncate", "s", "length?", "killwords?", "end?", "leeway?");
        var text = Python.Str(bound[0]!);
        var (length, end, leeway) = (bound[1].Int("truncate", 255), bound[3] as MarkedText ?? new MarkedText("..."), bound[4] is null or None ? 5 : bound[4].Int("truncate"));
        if (length < end.Length) throw JinjaError.Value($"truncate() to {length} characters has no room for the end, which has {end.Length}.");
        if (leeway < 0) throw JinjaError.Value("truncate() needs a leeway that is not negative.");
        if (text.Length <= length + leeway) return text;
        var kept = text.Substring(0, text.Offset(length - end.Length));
        if (!bound[2].Truth(false)) kept = StringOperations.RightSplit(kept, " ", 1).First();
        return new MarkedTextBuilder().Append(kept).Append(end).ToText(text.IsMarkup);
    }

    private static object FileSize(CallArguments arguments)
    {
        var bound = arguments.Bind("filesizeformat", "value", "binary?");
        if (!Numbers.TryFloat(bound[0]!, out var bytes)) throw JinjaError.Type("filesizeformat() needs a number.");
        var (unit, prefixes) = bound[1].Truth(false)
            ? (1024.0, new[] { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" })
            : (1000.0, new[] { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" });
        if (bytes == 1) return new MarkedText("1 Byte");
        if (bytes < unit) return new MarkedText($"{(long)bytes} Bytes");
        var size = unit;
        var i = 0;
        while (i + 1 < prefixes.Length && bytes >= size * unit)
        {
            size *= unit;
            i++;
        }

        return new MarkedText($"{ExactFloat.Fixed(bytes / size, 1)} {prefixes[i]}");
    }

    private static object ToJson(CallArguments arguments)
    {
        // transformers' own: its first parameters are json.dumps's in another order.
        var bound = arguments.Bind("tojson", "x", "ensure_ascii?", "indent?", "separators?", "sort_keys?");
        var indent = bound[2] switch
        {
            null or None => null,
            MarkedText text => text,
            var value => new MarkedText(new string(' ', Math.Clamp(value.Int("tojson"), 0, 1 << 10))),
        };
        var (item, key) = (new MarkedText(indent is null ? ", " : ","), new MarkedText(": "));
        if (bound[3] is not (null or None))
        {
            if (bound[3] is not PythonList { Count: 2 } pair) throw JinjaError.Value("tojson() needs two separators.");
            (item, key) = (pair[0].Text("tojson"), pair[1].Text("tojson"));
        }

        return JsonText.Dump(bound[0]!, bound[1].Truth(false), indent, (item, key), bound[4].Truth(false));
    }
}
