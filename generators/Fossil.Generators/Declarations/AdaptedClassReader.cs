using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Generators.Declarations;

/// <summary>
/// Reads the annotated classes of each compilation, anew only where a declaration has changed since the last one.
/// </summary>
/// <remarks>
/// <c>ForAttributeWithMetadataName</c> binds the attributes of every annotated class again at each keystroke anywhere; with a thousand classes that is
/// felt. What a model says depends on declarations only, so their hash tells whether the last models still hold. They are plain values: nothing
/// of a compilation is kept.
/// </remarks>
internal sealed class AdaptedClassReader
{
    private volatile Reading? last;

    /// <summary>The models of all annotated classes, in the order of the files.</summary>
    public EquatableArray<AdaptedClass> Read(Compilation compilation, CancellationToken cancellationToken)
    {
        var files = compilation.SyntaxTrees.Select(tree => (Tree: tree, Declarations: FileDeclarations.Of(tree, cancellationToken))).ToList();
        var fingerprint = Fingerprint(compilation, files.Select(file => file.Declarations));
        if (last is { } reading && reading.Fingerprint == fingerprint) return reading.Classes;

        var classes = Parse(compilation, files, cancellationToken).ToEquatableArray();
        last = new Reading(fingerprint, classes);
        return classes;
    }

    private static IEnumerable<AdaptedClass> Parse(
        Compilation compilation,
        IReadOnlyList<(SyntaxTree Tree, FileDeclarations Declarations)> files,
        CancellationToken cancellationToken)
    {
        if (WellKnownTypes.From(compilation) is not { } types) yield break;
        var aliases = new HashSet<string>(files.SelectMany(file => file.Declarations.Aliases));
        var seen = new HashSet<INamedTypeSymbol>(SymbolEqualityComparer.Default);
        foreach (var (tree, declarations) in files)
        {
            foreach (var type in declarations.Types)
            {
                if (!type.AttributeNames.Any(name => FileDeclarations.IsAttributeName(name) || aliases.Contains(name))) continue;
                cancellationToken.ThrowIfCancellationRequested();
                var node = tree.GetRoot(cancellationToken).FindNode(type.Span).FirstAncestorOrSelf<TypeDeclarationSyntax>(ancestor => ancestor.Span == type.Span);
                if (node is null || compilation.GetSemanticModel(tree).GetDeclaredSymbol(node, cancellationToken) is not { } symbol) continue;
                // A class may have attributes on several of its parts.
                if (seen.Add(symbol) && AdaptedClassParser.Parse(symbol, types, cancellationToken) is { } model) yield return model;
            }
        }
    }

    /// <summary>Everything that a model can depend on: declarations, references, and whether types without <c>?</c> can be null.</summary>
    private static ulong Fingerprint(Compilation compilation, IEnumerable<FileDeclarations> files)
    {
        const ulong prime = 1099511628211;
        var hash = (ulong)compilation.Options.NullableContextOptions;
        foreach (var file in files) hash = unchecked((hash * prime) ^ file.Hash);
        foreach (var reference in compilation.References) hash = unchecked((hash * prime) ^ (uint)reference.GetHashCode());
        return hash;
    }

    private sealed record Reading(ulong Fingerprint, EquatableArray<AdaptedClass> Classes);
}
