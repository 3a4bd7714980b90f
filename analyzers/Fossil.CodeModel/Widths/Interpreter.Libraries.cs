using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>The methods of TorchSharp and the base class library that widths pass through.</content>
internal sealed partial class Interpreter
{
    private Value? KnownCall(IInvocationOperation invocation, IMethodSymbol method, Value? receiver, List<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (!method.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty) return null;
        if (KnownFactory(method, arguments, invocation.Syntax) is { } layer) return layer;
        var values = arguments.Select(argument => argument.Value).ToList();
        switch (method.ContainingType?.ToDisplayString(SymbolDisplayFormat.CSharpErrorMessageFormat.WithGenericsOptions(SymbolDisplayGenericsOptions.None)))
        {
            case "System.Math" or "System.MathF" or "int" or "long" or "double" or "float":
                return Calculate(method, values);
            case "System.Convert":
                return values is [var converted] && converted is Constant { Content: not (null or string) } ? ConvertRounded(converted, method.ReturnType) : null;
            case "System.Linq.Enumerable":
                return Linq(method, values);
            case "System.Array" when method.Name is "Fill" && values is [Reference filled, var with] && ObjectOf(filled) is { IsSequence: true } target:
                Update(filled, target with { Items = [.. target.Items.Select(_ => with)] });
                return Known(null);
            case "System.Array" when method.Name is "ConvertAll" && values is [var all, Function converter]:
                return SelectItems(all, converter);
            case "System.GC" or "System.Console" or "System.Diagnostics.Debug":
                return NotFollowed;
        }
        if (receiver is Reference collection && ObjectOf(collection) is { IsSequence: true } sequence) return CollectionCall(method, collection, sequence, values);
        // `layer.to(device)`, `.cuda()` and the like give the module itself.
        if (method.ContainingAssembly?.Name == WellKnownNames.TorchSharpAssembly && method.Name is "to" or "cuda" or "cpu" or "half" or "alias")
        {
            var subject = receiver ?? values.FirstOrDefault();
            if (ObjectOf(subject) is { Type: { } type } && knowledge.Types.IsModule(type)) return subject;
        }
        return null;
    }

    /// <summary><c>torch.nn.Linear(in, out)</c>, <c>torch.nn.ModuleList(…)</c> and factories that declare widths.</summary>
    private Value? KnownFactory(IMethodSymbol method, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments, SyntaxNode? site)
    {
        if (method.ContainingAssembly?.Name != WellKnownNames.TorchSharpAssembly || method.ReturnType is not INamedTypeSymbol made || site is null) return null;
        if (Same(made, knowledge.Types.Linear) && method is { IsStatic: true, Name: "Linear" })
        {
            return arguments.Count >= 2 && arguments[0].Parameter.Type.SpecialType == SpecialType.System_Int64
                ? MakeLayer(made, arguments.First(argument => argument.Parameter.Ordinal == 0).Value, arguments.First(argument => argument.Parameter.Ordinal == 1).Value, site)
                : MakeLayer(made, NotFollowed, NotFollowed, site);
        }
        if (Same(made.OriginalDefinition, knowledge.Types.ModuleList) && method is { IsStatic: true, Name: "ModuleList" })
        {
            var list = Allocate(new HeapObject { Type = made, IsExact = true, MadeBy = Site(site) });
            FillCollection(list, arguments);
            return list;
        }
        return null;
    }

    private Value? Calculate(IMethodSymbol method, List<Value> values)
    {
        if (values.Count is 0 or > 3 || values.Any(value => value is not (Constant or Choice))) return null;
        if (values.Count == 2)
        {
            var results = new List<Value>();
            foreach (var left in values[0].Alternatives)
            {
                foreach (var right in values[1].Alternatives)
                {
                    if (left is not Constant { Content: { } a } || right is not Constant { Content: { } b } || MathFunctions.Apply(method.Name, a, b) is not { } result) return null;
                    results.Add(new Constant(result, left.From.And(right.From)));
                }
            }
            return Value.OneOf(results).KnownBy(values[0].From.And(values[1].From)).KnownBy(Here);
        }
        if (values.Count == 1)
        {
            var mapped = Map(values[0], content => content is null ? null : MathFunctions.Apply(method.Name, content));
            return mapped is Unknown ? null : mapped;
        }
        return values is [Constant { Content: { } value }, Constant { Content: { } least }, Constant { Content: { } most }]
            && method.Name == "Clamp" && MathFunctions.Apply("Max", value, least) is { } raised && MathFunctions.Apply("Min", raised, most) is { } clamped
            ? new Constant(clamped, values[0].From.And(values[1].From).And(values[2].From).And(Here))
            : null;
    }

    private Value ConvertRounded(Value value, ITypeSymbol type) =>
        Map(value, content => Folding.Convert(content is double number ? Math.Round(number) : content, type, true));

    private Value? Linq(IMethodSymbol method, List<Value> values)
    {
        switch (method.Name)
        {
            case "Range" when values is [Constant { Content: int start }, Constant { Content: int count }] && count is >= 0 and <= MaxIterations:
                return Sequence([.. Enumerable.Range(start, count).Select(number => new Constant(number, new Provenance(values[0].From.And(values[1].From).Depth, null)))], true, method.ReturnType);
            case "Range":
                return Sequence([NotFollowed], false, method.ReturnType);
            case "Repeat" when values is [var repeated, Constant { Content: int count }] && count is >= 0 and <= MaxIterations:
                return Sequence([.. Enumerable.Repeat(repeated, count)], true, method.ReturnType);
            case "Repeat":
                return Sequence([values[0]], false, method.ReturnType);
            case "Select" when values is [var source, Function selector]:
                return SelectItems(source, selector);
            case "ToArray" or "ToList" or "AsEnumerable" or "Reverse" when values is [var copied]:
                return ObjectOf(copied) is { IsSequence: true } sequence
                    ? Sequence(method.Name == "Reverse" ? [.. sequence.Items.Reverse()] : sequence.Items, sequence.HasExactItems, method.ReturnType)
                    : null;
            case "Concat" when values is [var first, var second]:
                return ObjectOf(first) is { IsSequence: true } a && ObjectOf(second) is { IsSequence: true } b
                    ? Sequence([.. a.Items, .. b.Items], a.HasExactItems && b.HasExactItems, method.ReturnType)
                    : null;
            case "Cast" or "OfType" when values is [var cast]:
                return ObjectOf(cast) is { IsSequence: true } ? cast : null;
            case "First" or "Last" or "Single" when values is [var whole]:
                return ObjectOf(whole) is { HasExactItems: true, Items.Length: > 0 } items ? method.Name == "Last" ? items.Items[items.Items.Length - 1] : items.Items[0] : null;
            case "Count" when values is [var counted]:
                return ObjectOf(counted) is { HasExactItems: true } known ? Known(known.Items.Length) : null;
            default:
                return null;
        }
    }

    private Value SelectItems(Value source, Function selector)
    {
        if (ObjectOf(source) is not { IsSequence: true } sequence)
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
            // What is wrong with an element is wrong in the lambda, not in the argument that brought the collection.
            items.Add(Apply(selector, [item.KnownBy(new Provenance(source.From.Depth, null)), position]));
        }
        return Sequence(items.ToImmutable(), sequence.HasExactItems, null);
    }

    private Value? CollectionCall(IMethodSymbol method, Reference collection, HeapObject sequence, List<Value> values)
    {
        switch (method.Name)
        {
            case "Add" or "append" or "Append" when values is [var added]:
                var more = method.Name == "append" && ObjectOf(added) is { IsSequence: true } several ? several.Items : [added];
                Update(collection, sequence with { Items = sequence.Items.AddRange(more) });
                return Known(null);
            case "AddRange" or "extend" when values is [var range]:
                Update(collection, ObjectOf(range) is { IsSequence: true } other
                    ? sequence with { Items = sequence.Items.AddRange(other.Items), HasExactItems = sequence.HasExactItems && other.HasExactItems }
                    : sequence with { HasExactItems = false });
                return Known(null);
            case "Insert" when values is [Constant { Content: int position }, var inserted] && sequence.HasExactItems && position >= 0 && position <= sequence.Items.Length:
                Update(collection, sequence with { Items = sequence.Items.Insert(position, inserted) });
                return Known(null);
            case "Clear":
                Update(collection, sequence with { Items = [], HasExactItems = true });
                return Known(null);
            case "ToArray" or "ToList":
                return Sequence(sequence.Items, sequence.HasExactItems, method.ReturnType);
            case "Insert" or "Remove" or "RemoveAt" or "Sort" or "Reverse":
                Update(collection, sequence with { HasExactItems = false, HasEscaped = true });
                return NotFollowed;
            default:
                return null;
        }
    }
}

/// <summary>The functions of <see cref="System.Math"/> that widths are computed with.</summary>
internal static class MathFunctions
{
    public static object? Apply(string name, object value) => (name, value) switch
    {
        ("Abs", int number and > int.MinValue) => Math.Abs(number),
        ("Abs", long number and > long.MinValue) => Math.Abs(number),
        ("Abs", double number) => Math.Abs(number),
        ("Ceiling", double number) => Math.Ceiling(number),
        ("Floor", double number) => Math.Floor(number),
        ("Round", double number) => Math.Round(number),
        ("Truncate", double number) => Math.Truncate(number),
        ("Sqrt", double number) => Math.Sqrt(number),
        ("Log2", double number) => Math.Log(number, 2),
        ("Ceiling", float number) => (float)Math.Ceiling(number),
        ("Floor", float number) => (float)Math.Floor(number),
        ("Round", float number) => (float)Math.Round(number),
        ("Sqrt", float number) => (float)Math.Sqrt(number),
        _ => null,
    };

    public static object? Apply(string name, object left, object right) => (name, left, right) switch
    {
        ("Max", int a, int b) => Math.Max(a, b),
        ("Max", long a, long b) => Math.Max(a, b),
        ("Max", double a, double b) => Math.Max(a, b),
        ("Max", float a, float b) => Math.Max(a, b),
        ("Min", int a, int b) => Math.Min(a, b),
        ("Min", long a, long b) => Math.Min(a, b),
        ("Min", double a, double b) => Math.Min(a, b),
        ("Min", float a, float b) => Math.Min(a, b),
        ("Pow", double a, double b) => Math.Pow(a, b),
        _ => null,
    };
}
