using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Attributes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Replaces the name of a target that does not exist by the nearest one that does.</summary>
// Fixes: FOSSIL002
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class UseNearestNameFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [UnknownTarget.Id];

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (var diagnostic in context.Diagnostics)
        {
            if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var name) || name is null) continue;
            Offer<ExpressionSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, $"Use '{name}'", nameof(UseNearestNameFix),
                expression => SyntaxFactory.LiteralExpression(SyntaxKind.StringLiteralExpression, SyntaxFactory.Literal(name)).WithTriviaFrom(expression));
        }
        return Task.CompletedTask;
    }
}
