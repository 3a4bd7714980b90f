using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Python's <c>None</c>.</summary>
internal sealed class None
{
    public static readonly None Value = new();
}

/// <summary>Jinja's <c>Undefined</c>: prints as nothing, is false and empty; anything else that is done with it fails.</summary>
/// <param name="Problem">What the error says.</param>
/// <param name="Kind">The error's kind: a name that is not there, or one that the sandbox hides.</param>
internal sealed record Undefined(string Problem, ChatTemplateErrorKind Kind = ChatTemplateErrorKind.Undefined)
{
    public static Undefined Variable(string name) => new($"'{name}' is undefined.");

    public static Undefined Member(object owner, object name) => new($"a value of type {Python.TypeName(owner)} has no {(name is MarkedText ? $"attribute '{name}'" : $"element {Python.Repr(name)}")}.");

    public static Undefined Unsafe(object owner, string name) => new($"access to the attribute '{name}' of a {Python.TypeName(owner)} is unsafe (SecurityError).", ChatTemplateErrorKind.Security);

    public JinjaError Error() => new(Kind, Problem);

    public bool Equals(Undefined? other) => other is not null;

    public override int GetHashCode() => 0;
}

/// <summary>A list or, where it cannot change, a tuple.</summary>
internal class PythonList(IReadOnlyList<object> items) : IReadOnlyList<object>
{
    public virtual bool IsTuple => false;

    public int Count => items.Count;

    public object this[int index] => items[index];

    public IEnumerator<object> GetEnumerator() => items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>A tuple.</summary>
internal class PythonTuple(params IReadOnlyList<object> items) : PythonList(items)
{
    public override bool IsTuple => true;
}

/// <summary>What <c>groupby</c> yields: a pair whose parts have names.</summary>
internal sealed class GroupTuple(object grouper, PythonList list) : PythonTuple(grouper, list)
{
    public object Grouper => grouper;

    public PythonList List => list;
}

/// <summary>A dictionary, in the order of its keys.</summary>
internal sealed class PythonDict : IEnumerable<KeyValuePair<object, object>>
{
    private readonly OrderedDictionary<object, object> entries = new(PythonEquality.Instance);

    public int Count => entries.Count;

    public IEnumerable<object> Keys => entries.Keys;

    public IEnumerable<object> Values => entries.Values;

    public object this[string key]
    {
        set => Set(new MarkedText(key), value);
    }

    /// <summary>Adds or replaces a value; a key that is there keeps its place and itself.</summary>
    public void Set(object key, object value)
    {
        Python.CheckHashable(key);
        entries[key] = value;
    }

    public bool TryGet(object key, [MaybeNullWhen(false)] out object value)
    {
        Python.CheckHashable(key);
        return entries.TryGetValue(key, out value);
    }

    public bool TryGet(string key, [MaybeNullWhen(false)] out object value) => entries.TryGetValue(new MarkedText(key), out value);

    public PythonDict Copy()
    {
        var copy = new PythonDict();
        foreach (var (key, value) in entries) copy.entries.Add(key, value);
        return copy;
    }

    public IEnumerator<KeyValuePair<object, object>> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>What a dictionary's <c>keys()</c>, <c>values()</c> and <c>items()</c> give.</summary>
internal sealed record DictView(PythonDict Dict, string Kind)
{
    public IEnumerable<object> Items => Kind switch
    {
        "keys" => Dict.Keys,
        "values" => Dict.Values,
        _ => Dict.Select(entry => (object)new PythonTuple(entry.Key, entry.Value)),
    };
}

/// <summary>A range of integers.</summary>
internal sealed record PythonRange(BigInteger Start, BigInteger Stop, BigInteger Step)
{
    public BigInteger Count => Step > 0
        ? Stop > Start ? (Stop - Start - 1) / Step + 1 : 0
        : Stop < Start ? (Start - Stop - 1) / -Step + 1 : 0;

    public BigInteger At(BigInteger index) => Start + index * Step;

    public IEnumerable<object> Items
    {
        get
        {
            var count = Count;
            for (BigInteger i = 0; i < count; i++) yield return At(i);
        }
    }
}

/// <summary>What a lazy filter gives (<c>map</c>, <c>select</c>, …): it can be gone through once.</summary>
internal sealed class PythonGenerator(IEnumerable<object> items)
{
    private readonly IEnumerator<object> rest = items.GetEnumerator();

    public IEnumerable<object> Items
    {
        get
        {
            while (rest.MoveNext()) yield return rest.Current;
        }
    }
}

/// <summary>Something that can be called.</summary>
/// <param name="Name">Its name, for messages.</param>
/// <param name="Call">What it does.</param>
internal record PythonFunction(string Name, Func<CallArguments, object> Call);

/// <summary>Jinja's <c>namespace</c>: the one object whose attributes a template can set.</summary>
internal sealed class Namespace(PythonDict attributes)
{
    public PythonDict Attributes => attributes;
}

/// <summary>Bytes, as <c>encode</c> gives them.</summary>
internal sealed record PythonBytes(byte[] Value);

/// <summary>Equality and hashes of Python's values, for keys: 1, 1.0 and True are one.</summary>
internal sealed class PythonEquality : IEqualityComparer<object>
{
    public static readonly PythonEquality Instance = new();

    bool IEqualityComparer<object>.Equals(object? x, object? y) => Python.AreEqual(x!, y!);

    int IEqualityComparer<object>.GetHashCode(object value) => value switch
    {
        bool truth => truth ? 1 : 0,
        BigInteger integer => integer >= int.MinValue && integer <= int.MaxValue ? (int)integer : ((double)integer).GetHashCode(),
        double number => Math.Floor(number) == number && number >= int.MinValue && number <= int.MaxValue ? (int)number : number.GetHashCode(),
        PythonTuple tuple => tuple.Aggregate(17, (hash, item) => (hash * 31) + ((IEqualityComparer<object>)this).GetHashCode(item)),
        _ => value.GetHashCode(),
    };
}
