using System.Collections.Immutable;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <summary>An object that the interpreted code made, or was given.</summary>
internal sealed record HeapObject
{
    /// <summary>Its type, exact where the object was made here.</summary>
    public ITypeSymbol? Type { get; init; }

    /// <summary>Whether <see cref="Type"/> is the run-time type, not a base of it.</summary>
    public bool IsExact { get; init; }

    /// <summary>Whether a member that is not in <see cref="Members"/> is unknown, instead of its type's default.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Whether code that is not followed can reach it.</summary>
    public bool HasEscaped { get; init; }

    /// <summary>Fields, automatic properties and captured parameters of a primary constructor.</summary>
    public ImmutableDictionary<ISymbol, Value> Members { get; init; } = NoMembers;

    /// <summary>The elements of an array or collection; default for every other object.</summary>
    public ImmutableArray<Value> Items { get; init; }

    /// <summary>Whether <see cref="Items"/> are all, in order; otherwise some that are among them.</summary>
    public bool HasExactItems { get; init; }

    /// <summary>Whether <see cref="Items"/> are the entries of a dictionary: pairs of key and value.</summary>
    public bool IsMap { get; init; }

    /// <summary>Input and output width, where the object is a layer that has them.</summary>
    public (Value In, Value Out)? Widths { get; init; }

    /// <summary>The depth of the call that made it, and so decides which overrides run.</summary>
    public int MadeDepth { get; init; } = int.MaxValue;

    /// <summary>The expression that made it.</summary>
    public SyntaxNode? MadeBy { get; init; }

    public bool IsSequence => !Items.IsDefault;

    public static readonly ImmutableDictionary<ISymbol, Value> NoMembers =
        ImmutableDictionary.Create<ISymbol, Value>(SymbolEqualityComparer.Default);

    /// <summary>The most elements that are kept of a collection whose elements are not all known.</summary>
    private const int MaxSomeItems = 64;

    /// <summary>The collection with one more element among those that it may have.</summary>
    public HeapObject WithSome(Value item) =>
        this with { HasExactItems = false, Items = Items.Length >= MaxSomeItems || Items.Any(item.Same) ? Items : Items.Add(item) };

    /// <summary>What is left of the object after code that is not followed has had it.</summary>
    public HeapObject Escape()
    {
        var kept = Members;
        foreach (var member in Members.Keys)
        {
            if (!IsFixed(member) && Members[member] is not Unknown) kept = kept.SetItem(member, new Unknown(UnknownReason.Member, member.Name));
        }
        return HasEscaped && IsOpen && !HasExactItems && ReferenceEquals(kept, Members) ? this : this with { Members = kept, HasEscaped = true, IsOpen = true, HasExactItems = false };
    }

    /// <summary>Whether a member keeps the value that construction gave it.</summary>
    public static bool IsFixed(ISymbol member) => member switch
    {
        IFieldSymbol field => field.IsReadOnly,
        IPropertySymbol property => property.SetMethod is null or { IsInitOnly: true },
        _ => true,
    };

    /// <summary>The object where it is either of the two, which have the same identity.</summary>
    public static HeapObject Join(HeapObject left, HeapObject right, Func<Value, Value, Value> join)
    {
        if (ReferenceEquals(left, right)) return left;
        var members = left.Members;
        foreach (var member in left.Members.Keys.Concat(right.Members.Keys))
        {
            members = members.SetItem(member, join(left.Member(member), right.Member(member)));
        }
        var exact = left.HasExactItems && right.HasExactItems && left.Items.Length == right.Items.Length;
        return left with
        {
            Members = members,
            IsOpen = left.IsOpen || right.IsOpen,
            HasEscaped = left.HasEscaped || right.HasEscaped,
            Items = JoinItems(left.Items, right.Items, exact, join),
            HasExactItems = exact,
        };
    }

    private static ImmutableArray<Value> JoinItems(ImmutableArray<Value> left, ImmutableArray<Value> right, bool exact, Func<Value, Value, Value> join)
    {
        if (left.IsDefault || right.IsDefault) return left.IsDefault ? right : left;
        if (exact) return [.. left.Zip(right, join)];
        var bag = left.ToBuilder();
        foreach (var item in right)
        {
            if (bag.Count < MaxSomeItems && !bag.Any(item.Same)) bag.Add(item);
        }
        return bag.ToImmutable();
    }

    /// <summary>The value of a member, as far as it is known.</summary>
    public Value Member(ISymbol member)
    {
        if (Members.TryGetValue(member, out var value)) return value;
        if (IsOpen) return new Unknown(UnknownReason.Member, member.Name);
        var type = member switch { IFieldSymbol field => field.Type, IPropertySymbol property => property.Type, _ => null };
        return Folding.Default(type) is { } constant ? constant : new Unknown(UnknownReason.Member, member.Name);
    }
}

/// <summary>Variables and objects at one point of the interpretation. Copies are cheap, because both maps are persistent.</summary>
internal sealed class State
{
    private static readonly ImmutableDictionary<(int Frame, ISymbol Variable), Value> NoVariables =
        ImmutableDictionary.Create<(int, ISymbol), Value>(new VariableComparer());

    public ImmutableDictionary<(int Frame, ISymbol Variable), Value> Variables { get; set; } = NoVariables;

    public ImmutableDictionary<int, HeapObject> Heap { get; set; } = ImmutableDictionary<int, HeapObject>.Empty;

    public State Copy() => new() { Variables = Variables, Heap = Heap };

    /// <summary>What holds after either of the two; a null state is one that is never reached.</summary>
    public static State? Join(State? left, State? right) => Merge(left, right, Value.Join);

    /// <summary>What holds after any number of iterations: what an iteration has changed is unknown.</summary>
    public static State Widen(State before, State after, out bool changed)
    {
        var differs = false;
        var widened = Merge(before, after, (left, right) =>
        {
            if (left.Same(right)) return left;
            differs = true;
            return new Unknown(UnknownReason.TooManyValues);
        });
        changed = differs;
        return widened!;
    }

    private static State? Merge(State? left, State? right, Func<Value, Value, Value> join)
    {
        if (left is null || right is null) return left ?? right;
        return new State { Variables = Merge(left.Variables, right.Variables, join), Heap = Merge(left.Heap, right.Heap, (mine, its) => HeapObject.Join(mine, its, join)) };
    }

    private static ImmutableDictionary<TKey, T> Merge<TKey, T>(ImmutableDictionary<TKey, T> left, ImmutableDictionary<TKey, T> right, Func<T, T, T> join)
        where TKey : notnull
    {
        if (ReferenceEquals(left, right)) return left;
        var merged = left.ToBuilder();
        foreach (var pair in right)
        {
            // A variable or object that only one side has is out of scope on the other.
            if (!left.TryGetValue(pair.Key, out var mine)) merged[pair.Key] = pair.Value;
            else if (!ReferenceEquals(mine, pair.Value)) merged[pair.Key] = join(mine, pair.Value);
        }
        return merged.ToImmutable();
    }

    private sealed class VariableComparer : IEqualityComparer<(int Frame, ISymbol Variable)>
    {
        public bool Equals((int Frame, ISymbol Variable) x, (int Frame, ISymbol Variable) y) =>
            x.Frame == y.Frame && SymbolEqualityComparer.Default.Equals(x.Variable, y.Variable);

        public int GetHashCode((int Frame, ISymbol Variable) key) => unchecked((key.Frame * 397) ^ SymbolEqualityComparer.Default.GetHashCode(key.Variable));
    }
}
