using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>Which call frame a value is known by, and through which argument of the analysed body it came.</summary>
/// <param name="Depth">
/// 0 where the value is known only because of the analysed body itself; n where the n-th inlined call alone determines it. A width of
/// depth 1 or more is found, and reported, when that callee is analysed by itself.
/// </param>
/// <param name="Via">The expression of the analysed body that carried the value; null where no argument did.</param>
internal readonly record struct Provenance(int Depth, SyntaxNode? Via)
{
    /// <summary>Known without any frame.</summary>
    public static readonly Provenance Independent = new(int.MaxValue, null);

    /// <summary>The provenance of what is computed from both.</summary>
    public Provenance And(Provenance other) =>
        Depth < other.Depth || (Depth == other.Depth && Via is not null) ? this : other;

    /// <summary>The provenance of a value that is made of both: of <c>heads * size</c>, where each came by an argument, the call that has both.</summary>
    public Provenance With(Provenance other) =>
        Depth == other.Depth && CallOf(Via) is { } call && call == CallOf(other.Via) && Via != other.Via ? new Provenance(Depth, call) : And(other);

    /// <summary>The call or creation that an argument belongs to; the call itself, where it is one.</summary>
    private static SyntaxNode? CallOf(SyntaxNode? via) => via?.Parent is ArgumentSyntax { Parent: BaseArgumentListSyntax { Parent: var call } } ? call : via;
}

/// <summary>What is known of a value: a constant, one of a few, an object with known members, or nothing.</summary>
internal abstract class Value(Provenance from)
{
    /// <summary>The most alternatives that a <see cref="Choice"/> may have.</summary>
    public const int MaxAlternatives = 8;

    /// <summary>Where the value is known from.</summary>
    public Provenance From { get; } = from;

    /// <summary>The same value, known from elsewhere.</summary>
    public abstract Value WithFrom(Provenance from);

    /// <summary>Whether both are the same, provenance aside.</summary>
    public abstract bool Same(Value other);

    /// <summary>The values that this one can be: itself, or the alternatives of a choice.</summary>
    public virtual ImmutableArray<Value> Alternatives => [this];

    /// <summary>The same value, known by <paramref name="other"/> too.</summary>
    public Value KnownBy(Provenance other)
    {
        var joined = From.And(other);
        return joined == From ? this : WithFrom(joined);
    }

    /// <summary>What is known where the value is either of the two.</summary>
    public static Value Join(Value left, Value right)
    {
        if (left.Same(right)) return left.KnownBy(right.From);
        if (left is Unknown) return left;
        if (right is Unknown) return right;
        return OneOf([.. left.Alternatives, .. right.Alternatives]);
    }

    /// <summary>One of <paramref name="values"/>; unknown where there are too many, or one is unknown.</summary>
    public static Value OneOf(IReadOnlyList<Value> values)
    {
        var distinct = ImmutableArray.CreateBuilder<Value>();
        var from = Provenance.Independent;
        foreach (var value in values)
        {
            if (value is Unknown) return value;
            from = from.And(value.From);
            if (!distinct.Any(value.Same)) distinct.Add(value);
            if (distinct.Count > MaxAlternatives) return new Unknown(UnknownReason.TooManyValues);
        }
        return distinct.Count switch
        {
            0 => new Unknown(UnknownReason.NotFollowed),
            1 => distinct[0],
            _ => new Choice(distinct.ToImmutable(), from),
        };
    }
}

/// <summary>A number, boolean, string or null.</summary>
internal sealed class Constant(object? value, Provenance from) : Value(from)
{
    public object? Content { get; } = value;

    public override Value WithFrom(Provenance from) => new Constant(Content, from);

    public override bool Same(Value other) => other is Constant constant && Equals(Content, constant.Content);

    public override string ToString() => Content?.ToString() ?? "null";
}

/// <summary>One of a few values, and it is not known which.</summary>
internal sealed class Choice(ImmutableArray<Value> alternatives, Provenance from) : Value(from)
{
    public override ImmutableArray<Value> Alternatives { get; } = alternatives;

    public override Value WithFrom(Provenance from) => new Choice(Alternatives, from);

    public override bool Same(Value other) =>
        other is Choice choice && choice.Alternatives.Length == Alternatives.Length && Alternatives.All(mine => choice.Alternatives.Any(mine.Same));
}

/// <summary>A tuple with known elements.</summary>
internal sealed class TupleValue(ImmutableArray<Value> elements, Provenance from) : Value(from)
{
    public ImmutableArray<Value> Elements { get; } = elements;

    public override Value WithFrom(Provenance from) => new TupleValue(Elements, from);

    public override bool Same(Value other) =>
        other is TupleValue tuple && tuple.Elements.Length == Elements.Length && Elements.Zip(tuple.Elements, (mine, its) => mine.Same(its)).All(same => same);
}

/// <summary>An object on the <see cref="State"/>'s heap.</summary>
internal sealed class Reference(int id, Provenance from) : Value(from)
{
    public int Id { get; } = id;

    public override Value WithFrom(Provenance from) => new Reference(Id, from);

    public override bool Same(Value other) => other is Reference reference && reference.Id == Id;
}

/// <summary>A lambda, local function or method as a value, with the frame that it was made in.</summary>
internal sealed class Function(IMethodSymbol method, IOperation? body, Frame? home, Value? receiver, Provenance from) : Value(from)
{
    public IMethodSymbol Method { get; } = method;

    /// <summary>The body of a lambda; null for a method.</summary>
    public IOperation? Body { get; } = body;

    public Frame? Home { get; } = home;

    public Value? Receiver { get; } = receiver;

    public override Value WithFrom(Provenance from) => new Function(Method, Body, Home, Receiver, from);

    public override bool Same(Value other) => other is Function function && SymbolEqualityComparer.Default.Equals(function.Method, Method);
}

/// <summary>Where a <c>ref</c> local points to: a variable of a call, a field of an object, or an element of a collection.</summary>
/// <param name="home">The call or the object.</param>
/// <param name="symbol">The variable or field; null for an element.</param>
/// <param name="element">The element; null for a variable or field.</param>
/// <param name="from">Where it is known from.</param>
internal sealed class Place(int home, ISymbol? symbol, int? element, Provenance from) : Value(from)
{
    public int Home { get; } = home;

    public ISymbol? Symbol { get; } = symbol;

    public int? Element { get; } = element;

    public override Value WithFrom(Provenance from) => new Place(Home, Symbol, Element, from);

    public override bool Same(Value other) =>
        other is Place place && place.Home == Home && place.Element == Element && SymbolEqualityComparer.Default.Equals(place.Symbol, Symbol);
}

/// <summary>Nothing is known.</summary>
internal sealed class Unknown(UnknownReason reason, string? subject = null) : Value(Provenance.Independent)
{
    public UnknownReason Reason { get; } = reason;

    /// <summary>The name of the parameter, member or method that stands behind it.</summary>
    public string? Subject { get; } = subject;

    public override Value WithFrom(Provenance from) => this;

    public override bool Same(Value other) => other is Unknown;
}

/// <summary>Why a width is not known at compile time.</summary>
public enum UnknownReason
{
    /// <summary>The code that makes it is not followed.</summary>
    NotFollowed,

    /// <summary>It depends on a parameter.</summary>
    Parameter,

    /// <summary>It comes from a method in another assembly, or one that may be overridden.</summary>
    Call,

    /// <summary>It is read from a member whose value is set elsewhere.</summary>
    Member,

    /// <summary>It is the value of a field of another assembly that is no constant: metadata does not hold it.</summary>
    Metadata,

    /// <summary>It can be one of too many values.</summary>
    TooManyValues,

    /// <summary>The code is too long to follow to its end.</summary>
    TooLong,
}
