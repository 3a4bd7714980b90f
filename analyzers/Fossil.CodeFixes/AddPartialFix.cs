using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers.Attributes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Adds <c>partial</c> to an annotated class and to each type around it.</summary>
// Fixes: FOSSIL001
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class AddPartialFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [ClassNotPartial.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (reported.FirstAncestorOrSelf<TypeDeclarationSyntax>() is not { } type) yield break;
        yield return new Fix("Make the class partial", nameof(AddPartialFix), type, (root, current) =>
        {
            var types = current.AncestorsAndSelf().OfType<TypeDeclarationSyntax>().Where(around => !around.Modifiers.Any(SyntaxKind.PartialKeyword));
            return root.ReplaceNodes(types, (_, changed) => Partial(changed));
        });
    }

    private static TypeDeclarationSyntax Partial(TypeDeclarationSyntax type)
    {
        // What stands before the keyword, as comments and the line break of attributes, stands before the new modifier then.
        var partial = SyntaxFactory.Token(SyntaxKind.PartialKeyword).WithLeadingTrivia(type.Keyword.LeadingTrivia).WithTrailingTrivia(SyntaxFactory.Space);
        return type.WithKeyword(type.Keyword.WithLeadingTrivia()).WithModifiers(type.Modifiers.Add(partial));
    }
}
