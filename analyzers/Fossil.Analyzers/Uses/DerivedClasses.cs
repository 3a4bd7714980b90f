using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Uses;

/// <summary>Which classes of a compilation have derived classes in it. Found when first asked for.</summary>
internal sealed class DerivedClasses(Compilation compilation)
{
    private readonly Lazy<HashSet<INamedTypeSymbol>> bases = new(() =>
    {
        var found = new HashSet<INamedTypeSymbol>(SymbolEqualityComparer.Default);
        Visit(compilation.Assembly.GlobalNamespace, found);
        return found;
    });

    /// <summary>Whether a class of the compilation derives from <paramref name="type"/> directly.</summary>
    public bool Has(INamedTypeSymbol type) => bases.Value.Contains(type.OriginalDefinition);

    private static void Visit(INamespaceOrTypeSymbol container, HashSet<INamedTypeSymbol> found)
    {
        foreach (var member in container.GetMembers())
        {
            if (member is INamedTypeSymbol { BaseType: { SpecialType: SpecialType.None } parent }) found.Add(parent.OriginalDefinition);
            if (member is INamespaceOrTypeSymbol inner) Visit(inner, found);
        }
    }
}
