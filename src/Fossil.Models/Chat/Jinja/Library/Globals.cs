using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>What every template can use: Jinja's globals, and transformers' <c>raise_exception</c> and <c>strftime_now</c>.</summary>
internal static class Globals
{
    private static readonly BigInteger MaxRange = 100_000;

    private static readonly Dictionary<string, object> All = new()
    {
        ["range"] = new PythonFunction("range", Range),
        ["dict"] = new DictType(),
        ["namespace"] = new PythonFunction("namespace", arguments => new Namespace(CheckedNames(MakeDict(arguments)))),
        ["cycler"] = new PythonFunction("cycler", arguments => arguments.Positional.Count > 0 ? new Cycler(arguments.Positional) : throw JinjaError.Runtime("cycler() needs at least one value.")),
        ["joiner"] = new PythonFunction("joiner", arguments =>
        {
            var separator = arguments.Bind("joiner", "sep?")[0] ?? new MarkedText(", ");
            var used = false;
            return new PythonFunction("joiner", call =>
            {
                call.BindNone("joiner");
                if (used) return separator;
                used = true;
                return MarkedText.Empty;
            });
        }),
        ["lipsum"] = new PythonFunction("lipsum", _ => throw new JinjaError(ChatTemplateErrorKind.Unsupported, "lipsum() is not supported.")),
        ["raise_exception"] = new PythonFunction("raise_exception", arguments =>
        {
            var message = Python.Str(arguments.Bind("raise_exception", "message")[0]!).Value;
            throw new JinjaError(ChatTemplateErrorKind.Template, message, message);
        }),
        ["strftime_now"] = new PythonFunction("strftime_now", arguments =>
            new MarkedText(Strftime.Format(arguments.Context.Now, arguments.Bind("strftime_now", "format")[0].Text("strftime_now").Value))),
    };

    public static object? Find(string name) => All.GetValueOrDefault(name);

    public static PythonDict MakeDict(CallArguments arguments)
    {
        if (arguments.Positional.Count > 1) throw JinjaError.Type($"dict() takes one value, but {arguments.Positional.Count} were given.");
        var result = new PythonDict();
        if (arguments.Positional is [var source])
        {
            if (source is PythonDict dict)
            {
                result = dict.Copy();
            }
            else
            {
                foreach (var item in Python.Iterate(source, "argument of dict()"))
                {
                    var pair = Python.Iterate(item, "element of dict()'s argument").ToArray();
                    if (pair.Length != 2) throw JinjaError.Value("dict() needs pairs.");
                    result.Set(pair[0], pair[1]);
                }
            }
        }

        foreach (var (name, value) in arguments.Named) result[name] = value;
        return result;
    }

    /// <summary>A namespace's names, of which none may begin with an underscore.</summary>
    public static PythonDict CheckedNames(PythonDict names)
    {
        foreach (var name in names.Keys) CheckName(name);
        return names;
    }

    public static void CheckName(object name)
    {
        if (name is MarkedText { Value: ['_', ..] }) throw new JinjaError(ChatTemplateErrorKind.Security, $"a namespace's attribute cannot be named '{name}' (SecurityError).");
    }

    private static object Range(CallArguments arguments)
    {
        if (arguments.Named.Count > 0) throw JinjaError.Type("range() takes no names.");
        var values = arguments.Positional.Select(value => value.Integer("range")).ToArray();
        var range = values switch
        {
            [var stop] => new PythonRange(0, stop, 1),
            [var start, var stop] => new PythonRange(start, stop, 1),
            [var start, var stop, var step] => new PythonRange(start, stop, step.IsZero ? throw JinjaError.Value("range() needs a step that is not zero.") : step),
            _ => throw JinjaError.Type($"range() takes one to three integers, but {values.Length} were given."),
        };
        return range.Count <= MaxRange ? range : throw new JinjaError(ChatTemplateErrorKind.Limit, $"range() has more than {MaxRange} elements.");
    }
}

/// <summary>Python's class <c>dict</c>.</summary>
internal sealed record DictType() : PythonFunction("dict", Globals.MakeDict);

/// <summary>Jinja's <c>cycler</c>.</summary>
internal sealed class Cycler(IReadOnlyList<object> items)
{
    private int position;

    public object? Find(string name) => name switch
    {
        "current" => items[position],
        "next" => Method(name, () =>
        {
            var current = items[position];
            position = (position + 1) % items.Count;
            return current;
        }),
        "reset" => Method(name, () =>
        {
            position = 0;
            return None.Value;
        }),
        _ => null,
    };

    private static PythonFunction Method(string name, Func<object> run) => new(name, arguments =>
    {
        arguments.BindNone(name);
        return run();
    });
}
