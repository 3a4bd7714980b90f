using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers.Attributes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.CodeFixes;

/// <summary>Adds <c>partial</c> to an annotated class and to each type around it.</summary>
// Fixes: FOSSIL001
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class AddPartialFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [ClassNotPartial.Id];

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (var diagnostic in context.Diagnostics)
        {
            // From the outermost type that lacks it, so that the types inside are changed with it.
            Offer<TypeDeclarationSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, "Make the class partial", nameof(AddPartialFix),
                type => type.AncestorsAndSelf().OfType<TypeDeclarationSyntax>().LastOrDefault(IsNotPartial),
                type => type.ReplaceNodes(Around(type, diagnostic.Location.SourceSpan), (_, changed) => Partial(changed)));
        }
        return Task.CompletedTask;
    }

    private static bool IsNotPartial(TypeDeclarationSyntax type) => !type.Modifiers.Any(SyntaxKind.PartialKeyword);

    /// <summary>The types from <paramref name="outermost"/> to the one at <paramref name="span"/> that are not partial.</summary>
    private static IEnumerable<TypeDeclarationSyntax> Around(TypeDeclarationSyntax outermost, TextSpan span) =>
        outermost.DescendantNodesAndSelf().OfType<TypeDeclarationSyntax>().Where(type => type.Span.Contains(span) && IsNotPartial(type));

    private static TypeDeclarationSyntax Partial(TypeDeclarationSyntax type)
    {
        var keyword = SyntaxFactory.Token(SyntaxKind.PartialKeyword).WithTrailingTrivia(SyntaxFactory.Space);
        if (type.Modifiers.Count > 0) return type.WithModifiers(type.Modifiers.Add(keyword));
        // The first token carries the comments and attributes' line break before the class.
        var leading = type.Keyword.LeadingTrivia;
        return type.WithKeyword(type.Keyword.WithLeadingTrivia()).WithModifiers([keyword.WithLeadingTrivia(leading)]);
    }
}
