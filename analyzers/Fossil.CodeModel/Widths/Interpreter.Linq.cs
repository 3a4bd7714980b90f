using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>LINQ over collections whose elements are known.</content>
internal sealed partial class Interpreter
{
    private Value? Linq(IMethodSymbol method, List<Value> values)
    {
        switch (method.Name)
        {
            case "Range" when values is [Constant { Content: int start }, Constant { Content: int count }] && count is >= 0 and <= MaxIterations:
                return Sequence([.. Enumerable.Range(start, count).Select(number => new Constant(number, new Provenance(values[0].From.And(values[1].From).Depth, null)))], true, method.ReturnType);
            case "Range":
                return Sequence([NotFollowed], false, method.ReturnType);
            case "Empty":
                return Sequence([], true, method.ReturnType);
            case "Repeat" when values is [var repeated, Constant { Content: int count }] && count is >= 0 and <= MaxIterations:
                return Sequence([.. Enumerable.Repeat(repeated, count)], true, method.ReturnType);
            case "Repeat":
                return Sequence([values[0]], false, method.ReturnType);
            case "Select" when values is [var selected, Function selector]:
                return SelectItems(selected, selector);
        }
        if (values.Count == 0 || ObjectOf(values[0]) is not { IsSequence: true, HasEscaped: false } source) return null;
        ImmutableArray<Value> items = [.. source.Items.Select(item => ElementOf(values[0], item))];
        return (source.HasExactItems ? OfAll(method, items, values.Skip(1).ToList()) : null) ?? OfSome(method, items, source.HasExactItems, values.Skip(1).ToList());
    }

    /// <summary>
    /// An element of a collection. In the analysed body the place that uses the element is wrong, not the one that brought the collection; in
    /// a callee it is the argument that did.
    /// </summary>
    private Value ElementOf(Value collection, Value item) => frame.Depth == 0 ? item.KnownBy(new Provenance(collection.From.Depth, null)) : Through(collection, item);

    /// <summary>What keeps the elements or some of them, also where there may be others.</summary>
    private Value? OfSome(IMethodSymbol method, ImmutableArray<Value> items, bool isExact, List<Value> rest)
    {
        switch (method.Name)
        {
            case "ToArray" or "ToList" or "AsEnumerable" or "Cast" or "OfType" when rest.Count == 0:
                return Sequence(items, isExact, method.ReturnType);
            case "Reverse":
                return Sequence([.. items.Reverse()], isExact, method.ReturnType);
            case "Concat" when rest is [var other] && ObjectOf(other) is { IsSequence: true } second:
                return Sequence([.. items, .. second.Items], isExact && second.HasExactItems, method.ReturnType);
            case "Append" when rest is [var last]:
                return Sequence([.. items, last], isExact, method.ReturnType);
            case "Prepend" when rest is [var first]:
                return Sequence([first, .. items], isExact, method.ReturnType);
            case "Where" when rest is [Function predicate]:
                return Where(items, isExact, predicate, out var isCertain) is var kept ? Sequence(kept, isExact && isCertain, method.ReturnType) : null;
            case "SelectMany" when rest is [Function selector]:
                var parts = items.Select(item => ObjectOf(Apply(selector, [item]))).ToList();
                return Sequence([.. parts.Where(part => part is { IsSequence: true }).SelectMany(part => part!.Items)], isExact && parts.All(part => part is { IsSequence: true, HasExactItems: true }), method.ReturnType);
            default:
                return null;
        }
    }

    /// <summary>What needs each element at its place.</summary>
    private Value? OfAll(IMethodSymbol method, ImmutableArray<Value> items, List<Value> rest)
    {
        switch (method.Name)
        {
            case "Skip" when rest is [Constant { Content: int count }]:
                return Sequence([.. items.Skip(count)], true, method.ReturnType);
            case "Take" when rest is [Constant { Content: int count }]:
                return Sequence([.. items.Take(count)], true, method.ReturnType);
            case "SkipLast" when rest is [Constant { Content: int count }]:
                return Sequence([.. items.Take(Math.Max(0, items.Length - Math.Max(0, count)))], true, method.ReturnType);
            case "TakeLast" when rest is [Constant { Content: int count }]:
                return Sequence([.. items.Skip(Math.Max(0, items.Length - Math.Max(0, count)))], true, method.ReturnType);
            case "Zip" when rest.Count is 1 or 2 && ObjectOf(rest[0]) is { IsSequence: true, HasExactItems: true } second:
                return Sequence([.. items.Zip(second.Items, (mine, its) => rest.Count == 2 && rest[1] is Function selector ? Apply(selector, [mine, its]) : new TupleValue([mine, its], Here))], true, method.ReturnType);
            case "Index" when rest.Count == 0:
                return Sequence([.. items.Select((item, index) => new TupleValue([Known(index), item], Here))], true, method.ReturnType);
            case "Count" when rest.Count == 0:
                return Known(items.Length);
            case "Any" when rest.Count == 0:
                return Known(items.Length > 0);
            case "ElementAt" when rest is [Constant { Content: int position }] && position >= 0 && position < items.Length:
                return items[position];
            case "First" or "Last" or "Single" or "FirstOrDefault" or "LastOrDefault" or "SingleOrDefault" when rest is [] or [Function]:
                return Pick(method, items, rest.FirstOrDefault() as Function);
            case "Max" or "Min" or "Sum" when rest is [] or [Function]:
                var numbers = rest is [Function projection] ? items.Select(item => Apply(projection, [item])).ToList() : [.. items];
                return numbers.Count == 0 ? null : numbers.Aggregate((left, right) => method.Name == "Sum" ? Combine(BinaryOperatorKind.Add, left, right, true) : Calculate(method.Name, left, right) ?? NotFollowed);
            case "Aggregate" when rest is [Function function] && items.Length > 0:
                return items.Skip(1).Aggregate(items[0], (total, item) => Apply(function, [total, item]));
            case "Aggregate" when rest is [var seed, Function function]:
                return items.Aggregate(seed, (total, item) => Apply(function, [total, item]));
            case "ToDictionary" when rest is [Function key, Function content]:
                return MakeMap([.. items.Select(item => new TupleValue([Apply(key, [item]), Apply(content, [item])], Here))], method.ReturnType);
            case "ToDictionary" when rest is [Function key]:
                return MakeMap([.. items.Select(item => new TupleValue([Apply(key, [item]), item], Here))], method.ReturnType);
            default:
                return null;
        }
    }

    private Value MakeMap(ImmutableArray<Value> entries, ITypeSymbol type) =>
        Allocate(new HeapObject { Type = type, IsExact = true, Items = entries, HasExactItems = true, IsMap = true }).KnownBy(frame.Control);

    private Value? Pick(IMethodSymbol method, ImmutableArray<Value> items, Function? predicate)
    {
        var kept = predicate is null ? items : Where(items, true, predicate, out var isCertain) is var matching && isCertain ? matching : default;
        if (kept.IsDefault) return NotFollowed;
        if (kept.IsEmpty) return method.Name.EndsWith("Default", StringComparison.Ordinal) ? Folding.Default(method.ReturnType)?.KnownBy(Here) : null;
        return method.Name.StartsWith("Last", StringComparison.Ordinal) ? kept[kept.Length - 1] : kept[0];
    }

    /// <summary>The elements that a predicate keeps or may keep.</summary>
    private ImmutableArray<Value> Where(ImmutableArray<Value> items, bool isExact, Function predicate, out bool isCertain)
    {
        isCertain = true;
        var kept = ImmutableArray.CreateBuilder<Value>();
        for (var index = 0; index < items.Length; index++)
        {
            var holds = Apply(predicate, [items[index], isExact ? Known(index) : NotFollowed]);
            if (holds is not Constant { Content: bool }) isCertain = false;
            if (holds is not Constant { Content: false }) kept.Add(items[index]);
        }
        return kept.ToImmutable();
    }

    private Value SelectItems(Value source, Function selector)
    {
        if (ObjectOf(source) is not { IsSequence: true, HasEscaped: false } sequence)
        {
            Apply(selector, [NotFollowed, NotFollowed]);
            return Sequence([], false, null);
        }
        var index = 0;
        var items = ImmutableArray.CreateBuilder<Value>();
        foreach (var item in sequence.Items)
        {
            if (state is null || IsExhausted) break;
            var position = sequence.HasExactItems ? Known(index++) : (Value)NotFollowed;
            items.Add(Apply(selector, [ElementOf(source, item), position]));
        }
        return Sequence(items.ToImmutable(), sequence.HasExactItems, null);
    }
}
