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

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var name) || name is null) yield break;
        if (reported.FirstAncestorOrSelf<ExpressionSyntax>() is not { } written) yield break;
        yield return Fix.Replace(
            $"Use '{name}'", nameof(UseNearestNameFix), written,
            expression => SyntaxFactory.ParseExpression(SyntaxFactory.Literal(name).Text).InPlaceOf(expression));
    }
}
