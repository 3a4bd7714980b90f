using System.Globalization;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Jinja's filters on sequences. Those that Jinja computes lazily are lazy here too, so that an error in them comes when their elements are asked for.</summary>
internal static class SequenceFilters
{
    private static readonly Dictionary<string, Func<CallArguments, object>> Own = new()
    {
        ["batch"] = Batch,
        ["dictsort"] = DictSort,
        ["first"] = arguments => Python.Iterate(arguments.Bind("first", "seq")[0]!).FirstOrDefault() ?? new Undefined("the sequence has no first element, it is empty."),
        ["groupby"] = GroupBy,
        ["items"] = Items,
        ["join"] = Join,
        ["last"] = Last,
        ["list"] = arguments => new PythonList([.. arguments.Context.Counted(Python.Iterate(arguments.Bind("list", "value")[0]!))]),
        ["map"] = Map,
        ["max"] = arguments => Extreme(arguments, "max", 1),
        ["min"] = arguments => Extreme(arguments, "min", -1),
        ["reject"] = arguments => Select(arguments, "reject", keeps: false, byAttribute: false),
        ["rejectattr"] = arguments => Select(arguments, "rejectattr", keeps: false, byAttribute: true),
        ["reverse"] = Reverse,
        ["select"] = arguments => Select(arguments, "select", keeps: true, byAttribute: false),
        ["selectattr"] = arguments => Select(arguments, "selectattr", keeps: true, byAttribute: true),
        ["slice"] = Slice,
        ["sort"] = Sort,
        ["sum"] = Sum,
        ["unique"] = Unique,
    };

    public static Func<CallArguments, object>? Find(string name) => Own.GetValueOrDefault(name);

    private static object Batch(CallArguments arguments)
    {
        var bound = arguments.Bind("batch", "value", "linecount", "fill_with?");
        var (size, fill) = (Math.Max(1, bound[1].Int("batch")), bound[2]);
        return new PythonGenerator(arguments.Context.Counted(Python.Iterate(bound[0]!)).Chunk(size).Select(object (chunk) => new PythonList(Filled(chunk, size, fill, arguments.Context))));
    }

    private static List<object> Filled(IEnumerable<object> items, int size, object? fill, RenderContext context)
    {
        var result = items.ToList();
        while (fill is not (null or None) && result.Count < size)
        {
            context.Step();
            result.Add(fill);
        }

        return result;
    }

    private static object Slice(CallArguments arguments)
    {
        var bound = arguments.Bind("slice", "value", "slices", "fill_with?");
        var items = arguments.Context.Counted(Python.Iterate(bound[0]!)).ToList();
        var slices = bound[1].Int("slice");
        if (slices == 0) throw new JinjaError(ChatTemplateErrorKind.ZeroDivision, "slice() needs at least one slice.");
        return new PythonGenerator(Parts());

        IEnumerable<object> Parts()
        {
            var (each, extra) = (items.Count / slices, items.Count % slices);
            for (var (i, start) = (0, 0); i < slices; i++)
            {
                arguments.Context.Step();
                var count = each + (i < extra ? 1 : 0);
                List<object> part = [.. items.Skip(start).Take(count)];
                if (i >= extra && bound[2] is { } fill and not None) part.Add(fill);
                start += count;
                yield return new PythonList(part);
            }
        }
    }

    private static object DictSort(CallArguments arguments)
    {
        var bound = arguments.Bind("dictsort", "value", "case_sensitive?", "by?", "reverse?");
        var dict = bound[0] as PythonDict ?? throw JinjaError.Type($"dictsort() needs a dict, not {Python.TypeName(bound[0]!)}.");
        var by = bound[2] is null ? "key" : bound[2].Text("dictsort").Value;
        if (by is not ("key" or "value")) throw JinjaError.Runtime("dictsort() sorts by 'key' or 'value'.");
        return new PythonList([.. Sorted(dict.Select(entry => new PythonTuple(entry.Key, entry.Value)), pair => Folded(pair[by == "key" ? 0 : 1], bound[1].Truth(false)), bound[3].Truth(false))]);
    }

    private static object GroupBy(CallArguments arguments)
    {
        var bound = arguments.Bind("groupby", "value", "attribute", "default?", "case_sensitive?");
        var caseSensitive = bound[3].Truth(false);
        var attribute = Attribute(bound[1]!, bound[2] is None ? null : bound[2]);
        object Key(object item) => Folded(attribute(item), caseSensitive);
        var groups = new List<GroupTuple>();
        var members = new List<object>();
        object? last = null;
        foreach (var item in Sorted(arguments.Context.Counted(Python.Iterate(bound[0]!)), Key, false).Append(null!))
        {
            var key = item is null ? null : Key(item);
            if (last is not null && (key is null || !Python.AreEqual(key, last)))
            {
                // As Jinja: where cases are one, the group is named as its first member has it.
                groups.Add(new GroupTuple(caseSensitive ? last : attribute(members[0]), new PythonList([.. members])));
                members.Clear();
            }

            last = key;
            if (item is not null) members.Add(item);
        }

        return new PythonList([.. groups]);
    }

    private static object Items(CallArguments arguments)
    {
        var value = arguments.Bind("items", "value")[0]!;
        return new PythonGenerator(Pairs());

        IEnumerable<object> Pairs()
        {
            if (value is Undefined) yield break;
            var dict = value as PythonDict ?? throw JinjaError.Type("items() needs a dict.");
            foreach (var (key, item) in dict) yield return new PythonTuple(key, item);
        }
    }

    private static object Join(CallArguments arguments)
    {
        var bound = arguments.Bind("join", "value", "d?", "attribute?");
        var items = arguments.Context.Counted(Python.Iterate(bound[0]!));
        if (bound[2] is { } name and not None) items = items.Select(Attribute(name));
        return StringOperations.Join(bound[1] is null ? MarkedText.Empty : Python.Str(bound[1]!).AsPlain(), items.Select(Python.Str));
    }

    private static object Last(CallArguments arguments)
    {
        var value = arguments.Bind("last", "seq")[0]!;
        if (value is PythonGenerator) throw JinjaError.Type("a generator has no last element. Make a list of it first.");
        return arguments.Context.Counted(Python.Iterate(value)).LastOrDefault() ?? new Undefined("the sequence has no last element, it is empty.");
    }

    private static object Reverse(CallArguments arguments)
    {
        var value = arguments.Bind("reverse", "value")[0]!;
        if (value is MarkedText text) return text.CodePoints().Reverse().Aggregate(new MarkedTextBuilder(), (result, point) => result.Append(point)).ToText(text.IsMarkup);
        return new PythonGenerator([.. arguments.Context.Counted(Python.Iterate(value)).Reverse()]);
    }

    private static object Map(CallArguments arguments)
    {
        var rest = arguments.Tail;
        Func<object, object> change;
        if (rest.Positional.Count == 0 && rest.Named.TryGetValue("attribute", out var attribute))
        {
            if (rest.Named.Keys.FirstOrDefault(name => name is not ("attribute" or "default")) is { } unknown) return Failing($"map() has no parameter '{unknown}'.");
            change = Attribute(attribute, rest.Named.TryGetValue("default", out var absent) && absent is not None ? absent : null);
        }
        else
        {
            if (rest.Positional.Count == 0) return Failing("map() needs a filter.");
            var (name, more) = (Python.Str(rest.Positional[0]).Value, rest.Tail);
            change = item => Filters.Run(name, more with { Positional = [item, .. more.Positional] });
        }

        return new PythonGenerator(arguments.Context.Counted(Lazily(arguments.Positional[0])).Select(change));

        static PythonGenerator Failing(string problem) => new(Fail(problem));

        static IEnumerable<object> Fail(string problem)
        {
            if (problem.Length > 0) throw JinjaError.Runtime(problem);
            yield break;
        }
    }

    private static PythonGenerator Select(CallArguments arguments, string name, bool keeps, bool byAttribute)
    {
        var rest = arguments.Tail;
        if (byAttribute && rest.Positional.Count == 0) throw JinjaError.Runtime($"{name}() needs an attribute.");
        var value = byAttribute ? Attribute(rest.Positional[0]) : item => item;
        if (byAttribute) rest = rest.Tail;
        Func<object, bool> test = Python.IsTrue;
        if (rest.Positional.Count > 0)
        {
            var (testName, more) = (Python.Str(rest.Positional[0]).Value, rest.Tail);
            test = item => Tests.Run(testName, item, more);
        }

        return new PythonGenerator(arguments.Context.Counted(Lazily(arguments.Positional[0])).Where(item => test(value(item)) == keeps));
    }

    /// <summary>The elements, asked for only when the filter's are; what is false has none.</summary>
    private static IEnumerable<object> Lazily(object value)
    {
        if (!Python.IsTrue(value)) yield break;
        foreach (var item in Python.Iterate(value)) yield return item;
    }

    private static object Sort(CallArguments arguments)
    {
        var bound = arguments.Bind("sort", "value", "reverse?", "case_sensitive?", "attribute?");
        var caseSensitive = bound[2].Truth(false);
        Func<object, object> key = bound[3] is null or None ? item => Folded(item, caseSensitive) : ManyAttributes(bound[3]!, caseSensitive);
        return new PythonList([.. Sorted(arguments.Context.Counted(Python.Iterate(bound[0]!)), key, bound[1].Truth(false))]);
    }

    private static object Unique(CallArguments arguments)
    {
        var bound = arguments.Bind("unique", "value", "case_sensitive?", "attribute?");
        var caseSensitive = bound[1].Truth(false);
        Func<object, object> value = bound[2] is null or None ? item => item : Attribute(bound[2]!);
        return new PythonGenerator(arguments.Context.Counted(Python.Iterate(bound[0]!)).DistinctBy(item =>
        {
            var key = Folded(value(item), caseSensitive);
            Python.CheckHashable(key);
            return key;
        }, PythonEquality.Instance));
    }

    private static object Extreme(CallArguments arguments, string name, int sign)
    {
        var bound = arguments.Bind(name, "value", "case_sensitive?", "attribute?");
        var caseSensitive = bound[1].Truth(false);
        Func<object, object> value = bound[2] is null or None ? item => item : Attribute(bound[2]!);
        object? best = null, bestKey = null;
        foreach (var item in arguments.Context.Counted(Python.Iterate(bound[0]!)))
        {
            var key = Folded(value(item), caseSensitive);
            if (bestKey is null || Python.Compare(key, bestKey, "<") * sign > 0) (best, bestKey) = (item, key);
        }

        return best ?? new Undefined($"the sequence has no {name}, it is empty.");
    }

    private static object Sum(CallArguments arguments)
    {
        var bound = arguments.Bind("sum", "iterable", "attribute?", "start?");
        var items = arguments.Context.Counted(Python.Iterate(bound[0]!));
        if (bound[1] is { } name and not None) items = items.Select(Attribute(name));
        return items.Aggregate(bound[2] ?? BigInteger.Zero, (total, item) => Arithmetic.Compute("+", total, item));
    }

    /// <summary>Jinja's <c>make_attrgetter</c>: a path of attributes or indices.</summary>
    private static Func<object, object> Attribute(object path, object? absent = null)
    {
        object[] parts = path switch
        {
            MarkedText text => [.. text.Value.Split('.').Select(object (part) => part.Length > 0 && part.All(char.IsAsciiDigit) ? BigInteger.Parse(part, CultureInfo.InvariantCulture) : new MarkedText(part))],
            _ => [path],
        };
        return item =>
        {
            foreach (var part in parts)
            {
                item = Attributes.GetElement(item, part);
                if (absent is not null && item is Undefined) item = absent;
            }

            return item;
        };
    }

    private static Func<object, object> ManyAttributes(object path, bool caseSensitive)
    {
        if (path is not MarkedText names) return item => Folded(Attribute(path)(item), caseSensitive);
        var getters = names.Value.Split(',').Select(name => Attribute(new MarkedText(name))).ToArray();
        return item => new PythonList([.. getters.Select(getter => Folded(getter(item), caseSensitive))]);
    }

    private static object Folded(object value, bool caseSensitive) => value is MarkedText text && !caseSensitive ? PythonText.ToLower(text) : value;

    /// <summary>Sorted stably, as Python does.</summary>
    private static IEnumerable<T> Sorted<T>(IEnumerable<T> items, Func<T, object> key, bool reverse)
    {
        var order = Comparer<object>.Create((x, y) => Python.Compare(x, y, "<") ?? 0);
        var keyed = items.Select(item => (Item: item, Key: key(item))).ToList();
        try
        {
            // LINQ's sort is stable in both directions, as Python's is.
            return [.. (reverse ? keyed.OrderByDescending(pair => pair.Key, order) : keyed.OrderBy(pair => pair.Key, order)).Select(pair => pair.Item)];
        }
        catch (InvalidOperationException exception) when (exception.InnerException is JinjaError inner)
        {
            throw inner;
        }
    }
}
