using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>
/// Elements by index, from the end and by range. An array with several dimensions is a sequence of its rows; only its elements and lengths are followed.
/// </content>
internal sealed partial class Interpreter
{
    /// <summary>The value of <c>^distance</c>.</summary>
    private sealed record FromEnd(int Distance);

    /// <summary>The value of <c>start..end</c>: numbers, <see cref="FromEnd"/> or null.</summary>
    private sealed record Bounds(object? Start, object? End);

    private Value IndexFromEnd(IUnaryOperation hat) => Map(Evaluate(hat.Operand), content => Folding.Integer(content) is >= 0 and <= int.MaxValue and var distance ? new FromEnd((int)distance) : null);

    private Value RangeOf(IRangeOperation range)
    {
        var start = range.LeftOperand is { } left ? Evaluate(left) : Known(null);
        var end = range.RightOperand is { } right ? Evaluate(right) : Known(null);
        return (start, end) is (Constant { Content: var from }, Constant { Content: var to }) ? new Constant(new Bounds(from, to), start.From.And(end.From)) : NotFollowed;
    }

    private Value Element(Value collection, ImmutableArray<IOperation> indices, ITypeSymbol? type)
    {
        var value = collection;
        foreach (var index in indices) value = ElementAt(value, Evaluate(index), type);
        return value;
    }

    private Value ElementAt(Value collection, Value index, ITypeSymbol? type)
    {
        if (ObjectOf(collection) is not { IsSequence: true } sequence) return collection is Unknown ? collection : NotFollowed;
        if (sequence.IsMap) return Lookup(collection, sequence, index) ?? NotFollowed;
        if (index is Constant { Content: Bounds bounds }) return sequence.HasExactItems ? Slice(collection, sequence, bounds, type) : NotFollowed;
        if (index is Constant { Content: var content } && sequence.HasExactItems && ItemIndex(content, sequence) is { } position)
        {
            return Through(collection, sequence.Items[position]).KnownBy(index.From);
        }
        return sequence is { HasEscaped: false, Items.Length: > 0, HasExactItems: true } && type is not INamedTypeSymbol { Name: "Span" or "ReadOnlySpan" } ? Through(collection, Value.OneOf(sequence.Items)) : NotFollowed;
    }

    /// <summary>The place that an index means in a sequence of a length; null where it means none.</summary>
    private static int? Position(object? index, int length)
    {
        var number = index is FromEnd { Distance: var distance } ? length - distance : Folding.Integer(index);
        return number >= 0 && number <= length ? (int)number : null;
    }

    private static int? ItemIndex(object? index, HeapObject sequence) => Position(index, sequence.Items.Length) is { } position && position < sequence.Items.Length ? position : null;

    private Value Slice(Value collection, HeapObject sequence, Bounds bounds, ITypeSymbol? type)
    {
        var length = sequence.Items.Length;
        return Position(bounds.Start ?? 0, length) is { } start && Position(bounds.End ?? length, length) is { } end && start <= end
            ? Sequence(sequence.Items.Skip(start).Take(end - start).ToImmutableArray(), true, type).KnownBy(collection.From)
            : NotFollowed;
    }

    /// <summary>Writes through an indexer: that of a class in source, or that of a collection.</summary>
    private void SetIndexed(IPropertyReferenceOperation reference, Value instance, Value value)
    {
        if (reference.Property.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty)
        {
            SetElement(instance, [.. reference.Arguments.Select(argument => argument.Value)], value);
        }
        else if (reference.Property.SetMethod is { } accessor && Actual(accessor, instance, false) is { } setter && source.BodyOf(setter, cancellationToken) is { } body)
        {
            Invoke(setter, body, instance, null, [.. AccessorArguments(setter, reference), (setter.OriginalDefinition.Parameters[setter.Parameters.Length - 1], value)]);
        }
        else
        {
            Escape(instance, [value]);
        }
    }

    /// <summary>The arguments of an indexer; each accessor has parameters of its own.</summary>
    private List<(IParameterSymbol Parameter, Value Value)> AccessorArguments(IMethodSymbol accessor, IPropertyReferenceOperation reference) =>
        [.. Arguments(reference.Arguments).Select(argument => (accessor.OriginalDefinition.Parameters[argument.Parameter.Ordinal], argument.Value))];

    private void SetElement(Value collection, ImmutableArray<IOperation> indices, Value value)
    {
        var row = indices.Length > 1 ? Element(collection, indices.RemoveAt(indices.Length - 1), null) : collection;
        var index = Evaluate(indices[indices.Length - 1]);
        if (row is not Reference reference || ObjectOf(reference) is not { IsSequence: true } sequence)
        {
            // One of several rows, or of rows that are not known.
            ForgetElements(row);
            if (indices.Length > 1) ForgetElements(collection);
        }
        else if (sequence.IsMap)
        {
            SetEntry(reference, sequence, index, value);
        }
        else if (index is Constant { Content: var content } && sequence.HasExactItems && ItemIndex(content, sequence) is { } position)
        {
            Update(reference, sequence with { Items = sequence.Items.SetItem(position, value) });
        }
        else
        {
            // One of the elements: the value is among them.
            Update(reference, sequence.WithSome(value));
        }
    }

    /// <summary>Whether a sequence is an array with several dimensions, whose items are rows.</summary>
    private static bool IsTable(HeapObject sequence) => sequence.Type is IArrayTypeSymbol { Rank: > 1 };

    private Value LengthOf(Value array, int dimension)
    {
        for (var row = array; ObjectOf(row) is { IsSequence: true, HasExactItems: true } sequence; row = sequence.Items[0], dimension--)
        {
            if (dimension == 0) return new Constant(sequence.Items.Length, array.From.And(Here));
            if (sequence.Items.IsEmpty) break;
        }
        return NotFollowed;
    }

    private Value CreateTable(ImmutableArray<Value> sizes, ITypeSymbol? type, ITypeSymbol? element)
    {
        var total = 1L;
        foreach (var size in sizes)
        {
            if (size is not Constant { Content: var content } || Folding.Integer(content) is not ({ } length and >= 0 and <= MaxArrayLength) || (total *= length) > MaxArrayLength) return Sequence([], false, type);
        }
        return Rows(0);

        Value Rows(int dimension)
        {
            if (dimension == sizes.Length) return Folding.Default(element) is { } constant ? constant : NotFollowed;
            var length = (int)Folding.Integer(((Constant)sizes[dimension]).Content)!.Value;
            return Sequence([.. Enumerable.Range(0, length).Select(_ => Rows(dimension + 1))], true, dimension == 0 ? type : null).KnownBy(sizes[dimension].From);
        }
    }

    /// <summary><c>stackalloc[] { 64, 128 }</c>, which has no operation of its own; null for every other expression.</summary>
    private Value? StackAllocation(IOperation expression)
    {
        var elements = expression.Syntax switch
        {
            ImplicitStackAllocArrayCreationExpressionSyntax { Initializer: var initializer } => initializer.Expressions.Count,
            StackAllocArrayCreationExpressionSyntax { Initializer: { } initializer } => initializer.Expressions.Count,
            _ => -1,
        };
        if (elements < 0 || expression.Kind != OperationKind.None) return null;
        var values = expression.ChildOperations.SelectMany(child => child is IArrayInitializerOperation initializer ? initializer.ElementValues : [child]).Select(Evaluate).ToList();
        return values.Count >= elements ? Sequence([.. values.Skip(values.Count - elements)], true, expression.Type) : null;
    }
}
