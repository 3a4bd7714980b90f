using Fossil.CodeModel;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Uses;

/// <summary>Which classes of a compilation have derived classes in it. By names first: only types that may name the class as their base are bound.</summary>
internal sealed class DerivedClasses(Compilation compilation)
{
    private readonly Lazy<ILookup<string, (SyntaxTree Tree, FileDeclarations.DeclaredType Type)>> byBase = new(() =>
    {
        var project = DeclarationReader.Shared.Read(compilation, CancellationToken.None);
        // A base may be written by another name.
        var aliases = project.Files.SelectMany(file => file.Aliases).ToLookup(alias => alias.Name, alias => alias.Target);
        return (from file in Enumerable.Range(0, project.Files.Count)
                from type in project.Files[file].Types
                from name in type.Bases
                from meant in aliases[name].Append(name)
                select (Name: meant, Type: (project.Trees[file], type))).ToLookup(one => one.Name, one => one.Type);
    });

    /// <summary>Whether a class of the compilation derives from <paramref name="type"/> directly.</summary>
    public bool Has(INamedTypeSymbol type, CancellationToken cancellationToken) =>
        byBase.Value[type.Name].Any(one => WellKnownTypes.Same(one.Type.In(compilation, one.Tree, cancellationToken)?.BaseType?.OriginalDefinition, type.OriginalDefinition));
}
