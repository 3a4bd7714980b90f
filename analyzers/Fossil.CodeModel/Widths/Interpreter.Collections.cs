using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Arrays, lists and dictionaries. The items of a dictionary are pairs of key and value.</content>
internal sealed partial class Interpreter
{
    private static readonly HashSet<string> ListTypes =
    [
        "System.Collections.Generic.List", "System.Collections.Generic.HashSet", "System.Collections.ObjectModel.ReadOnlyCollection", "System.Collections.ObjectModel.Collection",
    ];

    private static readonly HashSet<string> MapTypes =
    [
        "System.Collections.Generic.Dictionary", "System.Collections.Generic.SortedDictionary", "System.Collections.Generic.OrderedDictionary",
        "System.Collections.Concurrent.ConcurrentDictionary", "System.Collections.ObjectModel.ReadOnlyDictionary", "TorchSharp.Modules.ModuleDict",
    ];

    private bool IsCollection(INamedTypeSymbol type) => IsMap(type)
        || (type.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty && (Same(type.OriginalDefinition, knowledge.Types.ModuleList) || ListTypes.Contains(knowledge.NameOf(type))));

    private bool IsMap(INamedTypeSymbol type) => type.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty && MapTypes.Contains(knowledge.NameOf(type));

    /// <summary>A new collection gets the elements that its constructor is given; capacities and comparers are none.</summary>
    private void FillCollection(Reference made, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (ObjectOf(made) is not { } found) return;
        var contents = arguments.Where(argument => argument.Parameter.Type.SpecialType != SpecialType.System_Int32 && !argument.Parameter.Type.Name.EndsWith("Comparer", StringComparison.Ordinal)
            && argument.Value is not Constant).ToList();
        var initial = contents.Select(argument => ObjectOf(argument.Value)).FirstOrDefault(sequence => sequence is { IsSequence: true });
        Update(made, found with { Items = initial?.Items ?? [], HasExactItems = initial?.HasExactItems ?? contents.Count == 0, IsMap = found.Type is INamedTypeSymbol type && IsMap(type) });
    }

    private Value? CollectionProperty(Value instance, HeapObject sequence, IPropertySymbol property) => property.Name switch
    {
        "Length" when IsTable(sequence) => NotFollowed,
        "Length" or "Count" when sequence.HasExactItems => new Constant(sequence.Items.Length, instance.From.And(Here)),
        "Keys" when sequence.IsMap => Sequence([.. sequence.Items.Select(item => Select(item, 0))], sequence.HasExactItems, property.Type).KnownBy(instance.From),
        "Values" when sequence.IsMap => Sequence([.. sequence.Items.Select(item => Select(item, 1))], sequence.HasExactItems, property.Type).KnownBy(instance.From),
        _ => null,
    };

    private static Value Select(Value pair, int element) => pair is TupleValue tuple && element < tuple.Elements.Length ? tuple.Elements[element].KnownBy(pair.From) : NotFollowed;

    /// <summary>The value of a key; one of all where the key is not known, null where no entry has the key.</summary>
    private Value? Lookup(Value map, HeapObject entries, Value key)
    {
        if (!entries.HasExactItems || entries.HasEscaped) return NotFollowed;
        var isCertain = true;
        foreach (var entry in entries.Items)
        {
            var equal = AreEqual(key, Select(entry, 0));
            if (equal == true) return Through(map, Select(entry, 1)).KnownBy(key.From);
            isCertain &= equal == false;
        }
        return isCertain ? null : Through(map, Value.OneOf([.. entries.Items.Select(entry => Select(entry, 1))]));
    }

    private void SetEntry(Reference map, HeapObject entries, Value key, Value value)
    {
        var position = -1;
        var isCertain = entries.HasExactItems;
        for (var index = 0; index < entries.Items.Length && position < 0; index++)
        {
            var equal = AreEqual(key, Select(entries.Items[index], 0));
            if (equal == true) position = index;
            isCertain &= equal is not null;
        }
        var entry = new TupleValue([key, value], Here);
        Update(map, entries with { Items = isCertain && position >= 0 ? entries.Items.SetItem(position, entry) : entries.Items.Add(entry), HasExactItems = isCertain });
    }

    private Value? MapCall(IInvocationOperation invocation, IMethodSymbol method, Reference map, HeapObject entries, List<Value> values)
    {
        switch (method.Name)
        {
            case "Add" or "TryAdd" when values is [var key, var value]:
                SetEntry(map, entries, key, value);
                return NotFollowed;
            case "Add" when values is [TupleValue { Elements: [var name, var module] }]:
                SetEntry(map, entries, name, module);
                return NotFollowed;
            case "TryGetValue" when values is [var key, _]:
                var found = Lookup(map, entries, key);
                Assign(invocation.Arguments[1].Value, found ?? Folding.Default(method.Parameters[1].Type) ?? (Value)NotFollowed);
                return found is null ? Known(false) : entries.HasExactItems && entries.Items.Any(entry => AreEqual(key, Select(entry, 0)) == true) ? Known(true) : NotFollowed;
            case "GetValueOrDefault" when values is [var key, ..]:
                return Lookup(map, entries, key) ?? values.Skip(1).FirstOrDefault() ?? Folding.Default(method.ReturnType) ?? (Value)NotFollowed;
            case "ContainsKey" when values is [var key] && entries.HasExactItems && !entries.HasEscaped:
                var isEqual = Any(entries.Items, entry => AreEqual(key, Select(entry, 0)));
                return isEqual is { } known ? new Constant(known, map.From.And(key.From).And(Here)) : NotFollowed;
            case "Clear":
                Update(map, entries with { Items = [], HasExactItems = true });
                return NotFollowed;
            case "ContainsKey":
                return NotFollowed;
            default:
                return null;
        }
    }

    private Value? CollectionCall(IMethodSymbol method, Reference collection, HeapObject sequence, List<Value> values)
    {
        switch (method.Name)
        {
            case "Add" or "append" or "Append" when values is [var added]:
                var more = method.Name == "append" && ObjectOf(added) is { IsSequence: true } several ? several.Items : [added];
                Update(collection, sequence.HasExactItems && sequence.Items.Length < MaxArrayLength ? sequence with { Items = sequence.Items.AddRange(more) } : more.Aggregate(sequence, (some, item) => some.WithSome(item)));
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
            case "GetLength" when values is [Constant { Content: int dimension }]:
                return LengthOf(collection, dimension);
            case "ToArray" or "ToList" or "AsReadOnly":
                return Sequence(sequence.Items, sequence.HasExactItems, method.ReturnType).KnownBy(collection.From);
            case "ForEach" when values is [Function action] && sequence.HasExactItems:
                foreach (var item in sequence.Items) Apply(action, [ElementOf(collection, item)]);
                return Known(null);
            default:
                return null;
        }
    }
}
