using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <content>What code that is not followed may do to the objects and variables that it can reach.</content>
internal sealed partial class Interpreter
{
    /// <summary>Code that is not followed gets these values: it may change every member that can be changed.</summary>
    private void Escape(Value? receiver, IEnumerable<Value> arguments)
    {
        var seen = new HashSet<int>();
        foreach (var value in arguments) EscapeOne(value, seen);
        if (receiver is not null) EscapeOne(receiver, seen);
        if (state is null) return;
        foreach (var pair in state.Heap)
        {
            if (pair.Value.HasEscaped && seen.Add(pair.Key) && pair.Value.Escape() is var escaped && !ReferenceEquals(escaped, pair.Value)) state.Heap = state.Heap.SetItem(pair.Key, escaped);
        }
        Charge(state.Heap.Count);
    }

    private void EscapeOne(Value value, HashSet<int> seen)
    {
        foreach (var alternative in value.Alternatives)
        {
            if (alternative is TupleValue tuple) foreach (var element in tuple.Elements) EscapeOne(element, seen);
            if (alternative is not Reference reference || ObjectOf(reference) is not { } found || !seen.Add(reference.Id)) continue;
            Update(reference, found.Escape());
            foreach (var member in found.Members.Values) EscapeOne(member, seen);
            if (found.IsSequence) foreach (var item in found.Items) EscapeOne(item, seen);
        }
    }

    /// <summary>A member of an object that is not known gets a value: it may be that of any object.</summary>
    private void ForgetEverywhere(ISymbol member)
    {
        if (state is null) return;
        foreach (var pair in state.Heap)
        {
            if (!IsOrDerivesFrom(pair.Value.Type, member.ContainingType)) continue;
            state.Heap = state.Heap.SetItem(pair.Key, pair.Value with { Members = pair.Value.Members.SetItem(member, new Unknown(UnknownReason.Member, member.Name)) });
        }
        Charge(state.Heap.Count);
    }

    /// <summary>A setter of an object that is not known runs: it may change any object of its type.</summary>
    private void EscapeEverywhere(INamedTypeSymbol type)
    {
        if (state is null) return;
        foreach (var pair in state.Heap)
        {
            if (IsOrDerivesFrom(pair.Value.Type, type)) state.Heap = state.Heap.SetItem(pair.Key, pair.Value.Escape());
        }
    }

    private static bool IsOrDerivesFrom(ITypeSymbol? type, INamedTypeSymbol? ancestor)
    {
        if (ancestor is { TypeKind: TypeKind.Interface }) return type?.AllInterfaces.Any(face => Same(face.OriginalDefinition, ancestor.OriginalDefinition)) == true;
        for (var level = type; level is not null; level = level.BaseType)
        {
            if (Same(level.OriginalDefinition, ancestor?.OriginalDefinition)) return true;
        }
        return false;
    }

    /// <summary>Code that is not followed may put other elements into the collection.</summary>
    private void ForgetElements(Value value)
    {
        foreach (var alternative in value.Alternatives)
        {
            if (alternative is Reference reference && ObjectOf(reference) is { IsSequence: true } sequence) Update(reference, sequence with { HasExactItems = false, HasEscaped = true });
        }
    }

    /// <summary>Runs what code that is not followed may call any number of times: what it changes is unknown afterwards.</summary>
    private void RunByOthers(IEnumerable<Value> values)
    {
        foreach (var value in values)
        {
            if (value is not Function function || state is null) continue;
            var before = state.Copy();
            Apply(function, function.Method.Parameters.Select(parameter => (Value)new Unknown(UnknownReason.Parameter, parameter.Name)));
            state = state is null ? before : State.Widen(before, state, out _);
        }
    }

    /// <summary>
    /// What the base class library and TorchSharp are given they do not change, other than the elements of arrays and lists; what a delegate
    /// or reflection gets may be changed.
    /// </summary>
    private static bool IsHarmless(IMethodSymbol method)
    {
        var assembly = method.ContainingAssembly?.Name ?? "";
        return method.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty
            && method.MethodKind != MethodKind.DelegateInvoke
            && method.ContainingNamespace?.Name != "Reflection"
            && (assembly is WellKnownNames.TorchSharpAssembly or WellKnownNames.RuntimeAssembly or "mscorlib" or "netstandard" || assembly.StartsWith("System", StringComparison.Ordinal));
    }

    /// <summary>Whether a method of the libraries may change the elements of a collection that it is called on.</summary>
    private static bool ChangesElements(IMethodSymbol method) => method.Name is not (
        "Contains" or "ContainsKey" or "ContainsValue" or "IndexOf" or "LastIndexOf" or "Exists" or "TrueForAll" or "GetRange" or "AsReadOnly" or "BinarySearch" or "CopyTo" or "ForEach"
        or "ConvertAll" or "GetLength" or "GetLowerBound" or "GetUpperBound" or "GetEnumerator" or "Equals" or "GetHashCode" or "GetType" or "ToString" or "Clone" or "Peek" or "forward" or "call")
        && !method.Name.StartsWith("Find", StringComparison.Ordinal);

    /// <summary>Whether a method of the libraries may change the elements of an array or list that it is given.</summary>
    private static bool ChangesElementsOfArguments(IMethodSymbol method) =>
        method.ContainingAssembly?.Name is not (WellKnownNames.TorchSharpAssembly or WellKnownNames.RuntimeAssembly)
        && method.ContainingType?.Name is not ("Enumerable" or "String" or "Console" or "Debug" or "StringBuilder" or "Math" or "Path" or "Convert" or "Task" or "ImmutableArray" or "ImmutableList"
            or "FrozenSet" or "FrozenDictionary" or "ImmutableDictionary" or "ArgumentNullException" or "ArgumentException" or "ArgumentOutOfRangeException" or "JsonSerializer")
        && method.Name is not ("Add" or "AddRange" or "Append" or "Enqueue" or "Push" or "Insert")
        && (method.Name == "CopyTo" || ChangesElements(method));
}
