using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Jinja's <c>loop</c>.</summary>
internal sealed class LoopContext(IReadOnlyList<object> elements, int depth, Func<object, object>? recurse)
{
    private int position = -1;
    private PythonTuple? lastChanged;

    public int Length => elements.Count;

    public int Index => position + 1;

    public object Current => elements[position];

    /// <summary>What going through the loop itself gives: the elements that are left, each with the loop.</summary>
    public IEnumerable<object> Elements
    {
        get
        {
            while (MoveNext()) yield return new PythonTuple(Current, this);
        }
    }

    public bool MoveNext() => position + 1 < elements.Count && ++position >= 0;

    public object? Find(string name) => name switch
    {
        "index" => (BigInteger)position + 1,
        "index0" => (BigInteger)position,
        "revindex" => (BigInteger)Length - position,
        "revindex0" => (BigInteger)Length - position - 1,
        "first" => position == 0,
        "last" => position == Length - 1,
        "length" => (BigInteger)Length,
        "depth" => (BigInteger)depth + 1,
        "depth0" => (BigInteger)depth,
        "previtem" => position > 0 ? elements[position - 1] : new Undefined("there is no previous item."),
        "nextitem" => position + 1 < Length ? elements[position + 1] : new Undefined("there is no next item."),
        "cycle" => new PythonFunction(name, arguments => arguments.Positional.Count > 0 ? arguments.Positional[position % arguments.Positional.Count] : throw JinjaError.Type("loop.cycle() needs at least one value.")),
        "changed" => new PythonFunction(name, arguments =>
        {
            var values = new PythonTuple(arguments.Positional);
            var changed = lastChanged is null || !Python.AreEqual(lastChanged, values);
            lastChanged = values;
            return changed;
        }),
        _ => null,
    };

    /// <summary>The loop again over the elements of a part, in a recursive loop.</summary>
    public object Call(CallArguments arguments)
    {
        if (recurse is null) throw JinjaError.Type("the loop cannot be called: it is not marked 'recursive'.");
        return recurse(arguments.Bind("loop", "iterable")[0]!);
    }
}
