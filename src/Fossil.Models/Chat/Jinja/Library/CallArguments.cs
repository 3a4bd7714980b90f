using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>The arguments of a call, and how a function takes them.</summary>
/// <param name="Positional">Those without a name.</param>
/// <param name="Named">Those with one.</param>
/// <param name="Context">What the template runs in.</param>
internal sealed record CallArguments(IReadOnlyList<object> Positional, IReadOnlyDictionary<string, object> Named, RenderContext Context)
{
    private static readonly Dictionary<string, object> NoNames = [];

    public CallArguments(RenderContext context, params IReadOnlyList<object> positional)
        : this(positional, NoNames, context)
    {
    }

    /// <summary>The arguments without the first.</summary>
    public CallArguments Tail => this with { Positional = [.. Positional.Skip(1)] };

    /// <summary>Puts the arguments to a function's parameters.</summary>
    /// <param name="function">The function's name, for messages.</param>
    /// <param name="parameters">The names; those that may be left out end in <c>?</c>.</param>
    /// <returns>A value for each; null where it was left out.</returns>
    /// <exception cref="JinjaError">There are too many, too few, or unknown names.</exception>
    public object?[] Bind(string function, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Count > parameters.Length) throw JinjaError.Type($"{function}() takes {parameters.Length} arguments, but {Positional.Count} were given.");
        var values = new object?[parameters.Length];
        for (var i = 0; i < Positional.Count; i++) values[i] = Positional[i];
        foreach (var (name, value) in Named)
        {
            var index = -1;
            for (var i = 0; i < parameters.Length; i++)
            {
                if (parameters[i].AsSpan().TrimEnd('?').SequenceEqual(name)) index = i;
            }

            if (index < 0) throw JinjaError.Type($"{function}() has no parameter '{name}'.");
            if (values[index] is not null) throw JinjaError.Type($"{function}() was given '{name}' twice.");
            values[index] = value;
        }

        for (var i = 0; i < parameters.Length; i++)
        {
            if (values[i] is null && !parameters[i].EndsWith('?')) throw JinjaError.Type($"{function}() needs the argument '{parameters[i]}'.");
        }

        return values;
    }

    /// <summary>Takes no arguments.</summary>
    public void BindNone(string function) => Bind(function);
}

/// <summary>Arguments as the types that functions want.</summary>
internal static class ArgumentTypes
{
    public static MarkedText Text(this object? value, string function) =>
        value as MarkedText ?? throw JinjaError.Type($"{function}() needs a string, not {(value is null ? "nothing" : Python.TypeName(value))}.");

    public static int Int(this object? value, string function, int absent) => value is null ? absent : Python.SmallInteger(value, $"the argument of {function}()");

    public static int Int(this object? value, string function) => Python.SmallInteger(value!, $"the argument of {function}()");

    public static BigInteger Integer(this object value, string function) =>
        Python.TryInteger(value, out var integer) ? integer : throw JinjaError.Type($"{function}() needs an integer, not {Python.TypeName(value)}.");

    public static bool Truth(this object? value, bool absent) => value is null ? absent : Python.IsTrue(value);
}
