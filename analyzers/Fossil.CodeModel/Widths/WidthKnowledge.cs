using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <summary>A target of an annotated class, with the symbol of its member.</summary>
/// <param name="Owner">The annotated class.</param>
/// <param name="Symbol">The field or property.</param>
/// <param name="Target">Its name and settings.</param>
public sealed record TargetMember(INamedTypeSymbol Owner, ISymbol Symbol, AdaptedTarget Target);

/// <summary>What the interpreter asks about types.</summary>
internal sealed class WidthKnowledge(WellKnownTypes types, INamedTypeSymbol? widthsAttribute)
{
    private readonly ConcurrentDictionary<INamedTypeSymbol, IReadOnlyList<TargetMember>> targets = new(SymbolEqualityComparer.Default);

    private readonly ConcurrentDictionary<INamedTypeSymbol, string> names = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<INamedTypeSymbol, (string In, string Out)?> declaredWidths = new(SymbolEqualityComparer.Default);

    private static readonly SymbolDisplayFormat WithoutArguments = SymbolDisplayFormat.CSharpErrorMessageFormat.WithGenericsOptions(SymbolDisplayGenericsOptions.None);

    public WellKnownTypes Types => types;

    /// <summary>The full name of <paramref name="type"/> without type arguments: <c>System.Collections.Generic.List</c>.</summary>
    public string NameOf(INamedTypeSymbol type) => names.GetOrAdd(type.OriginalDefinition, definition => definition.ToDisplayString(WithoutArguments));

    /// <summary>The targets of <paramref name="type"/> and of its base classes.</summary>
    public IReadOnlyList<TargetMember> TargetsOf(INamedTypeSymbol type) => targets.GetOrAdd(type.OriginalDefinition, definition =>
    {
        var found = new List<TargetMember>();
        for (var level = definition; level is not null; level = level.BaseType?.OriginalDefinition)
        {
            if (AdaptedClassParser.Parse(level, types, CancellationToken.None) is not { } parsed) continue;
            foreach (var target in parsed.Targets)
            {
                if (TargetMembers.Find(level, target.Member) is { } symbol) found.Add(new TargetMember(level, symbol.OriginalDefinition, target));
            }
        }
        return found;
    });

    /// <summary>The names that <c>[AdapterWidths]</c> gives, of the type or its nearest base that has one.</summary>
    private (string In, string Out)? DeclaredWidths(INamedTypeSymbol type) => declaredWidths.GetOrAdd(type.OriginalDefinition, ReadDeclaredWidths);

    private (string In, string Out)? ReadDeclaredWidths(INamedTypeSymbol type)
    {
        if (widthsAttribute is null) return null;
        for (var level = type; level is not null; level = level.BaseType)
        {
            foreach (var attribute in level.GetAttributes())
            {
                if (WellKnownTypes.Same(attribute.AttributeClass, widthsAttribute)
                    && attribute.ConstructorArguments is [{ Value: string input }, { Value: string output }])
                {
                    return (input, output);
                }
            }
        }
        return null;
    }

    /// <summary>The constructor parameters that are the widths; null where the type declares none.</summary>
    public (string In, string Out)? WidthParametersOf(INamedTypeSymbol type) => DeclaredWidths(type);

    /// <summary>The fields or properties that hold the widths; null where the type declares none.</summary>
    public (ISymbol? In, ISymbol? Out)? WidthMembersOf(INamedTypeSymbol type) =>
        DeclaredWidths(type) is var (input, output) ? (MemberOf(type, input), MemberOf(type, output)) : null;

    private static ISymbol? MemberOf(INamedTypeSymbol type, string name)
    {
        for (var level = type; level is not null; level = level.BaseType)
        {
            if (level.GetMembers(name).FirstOrDefault(member => member is IFieldSymbol or IPropertySymbol) is { } found) return found.OriginalDefinition;
        }
        return null;
    }
}

/// <summary>Receives what targets hold.</summary>
internal interface ITargetObserver
{
    void Observe(TargetObservation observation);
}

/// <summary>What a target was seen to hold at one place.</summary>
/// <param name="Target">The target.</param>
/// <param name="Owner">Tells the objects that were made apart.</param>
/// <param name="Layer">Tells layers apart; null where it is not known which it is.</param>
/// <param name="Index">The element of a collection, -1 where it is not known which; null for a target that is no collection.</param>
/// <param name="In">The input width.</param>
/// <param name="Out">The output width.</param>
/// <param name="Site">The expression that made the object, or assigned the target.</param>
internal sealed record TargetObservation(TargetMember Target, int Owner, int? Layer, int? Index, Value In, Value Out, SyntaxNode? Site);
