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
        if (receiver is Constant nullable && method is { Name: "GetValueOrDefault", ContainingType.OriginalDefinition.SpecialType: SpecialType.System_Nullable_T })
        {
            return nullable.Content is not null ? nullable : values is [var fallback] ? fallback : Folding.Default(method.ReturnType)?.KnownBy(nullable.From);
        }
        switch (method.ContainingType is { } library ? knowledge.NameOf(library) : null)
        {
            case "System.Math" when method.Name == "DivRem" && values is [var dividend, var divisor, _]:
                Assign(invocation.Arguments.First(argument => argument.Parameter?.Ordinal == 2).Value, Combine(BinaryOperatorKind.Remainder, dividend, divisor, false));
                return Combine(BinaryOperatorKind.Divide, dividend, divisor, false);
            case "System.Math" or "System.MathF" or "int" or "long" or "uint" or "ulong" or "double" or "float":
                return Parse(method, values) ?? Calculate(method, values);
            case "System.Convert":
                return values is [var converted] && converted is Constant { Content: not (null or string) } ? ConvertRounded(converted, method.ReturnType) : null;
            case "System.Numerics.BitOperations":
                return Calculate(method, values);
            case "System.Linq.Enumerable":
                return Linq(method, values);
            case "System.MemoryExtensions" when method.Name is "AsSpan" or "AsMemory" && values is [Reference spanned]:
                return spanned;
            case "string":
                return Text(method, receiver, values);
            case "System.Collections.Generic.CollectionExtensions" when values is [Reference map, ..] && ObjectOf(map) is { IsSequence: true, IsMap: true } entries:
                return MapCall(invocation, method, map, entries, values.Skip(1).ToList());
            case "System.Array" when method.Name is "Fill" && values is [Reference filled, var with] && ObjectOf(filled) is { IsSequence: true } target:
                Update(filled, target with { Items = [.. target.Items.Select(_ => with)] });
                return Known(null);
            case "System.Array" when method.Name is "ConvertAll" && values is [var all, Function converter]:
                return SelectItems(all, converter);
            case "System.GC" or "System.Console" or "System.Diagnostics.Debug":
                return NotFollowed;
        }
        if (receiver is Reference collection && ObjectOf(collection) is { IsSequence: true } sequence)
        {
            return sequence.IsMap ? MapCall(invocation, method, collection, sequence, values) : CollectionCall(method, collection, sequence, values);
        }
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
        if (method is { IsStatic: true, Name: "ModuleList" or "ModuleDict" } && IsCollection(made))
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
        if (values.Count == 2) return Calculate(method.Name, values[0], values[1]);
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

    private Value? Calculate(string name, Value first, Value second)
    {
        if (name == "DivRem") return new TupleValue([Combine(BinaryOperatorKind.Divide, first, second, false), Combine(BinaryOperatorKind.Remainder, first, second, false)], Here);
        var results = new List<Value>();
        foreach (var left in first.Alternatives)
        {
            foreach (var right in second.Alternatives)
            {
                if (left is not Constant { Content: { } a } || right is not Constant { Content: { } b } || MathFunctions.Apply(name, a, b) is not { } result) return null;
                results.Add(new Constant(result, left.From.With(right.From)));
            }
        }
        return Value.OneOf(results).KnownBy(first.From.With(second.From)).KnownBy(Here);
    }

    private Value ConvertRounded(Value value, ITypeSymbol type) =>
        Map(value, content => Folding.Convert(content is double number ? Math.Round(number) : content, type, true));
}
