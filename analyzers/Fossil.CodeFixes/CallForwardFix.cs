using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Uses;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Turns <c>functional.linear(x, up.weight, up.bias)</c> into <c>up.forward(x)</c>, which is rewired.</summary>
// Fixes: FOSSIL041
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class CallForwardFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [TargetWeightMultiplied.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.ContainsKey(DiagnosticProperties.IsForward)) yield break;
        if (reported.FirstAncestorOrSelf<InvocationExpressionSyntax>() is { ContainsDirectives: false } product) yield return Fix.Replace("Call forward", nameof(CallForwardFix), product, Forward);
    }

    // Another fix may have changed the arguments since.
    private static SyntaxNode Forward(InvocationExpressionSyntax product) => TargetWeightMultiplied.WholeForward(product) is var (layer, input)
        ? SyntaxFactory.InvocationExpression(
            SyntaxFactory.MemberAccessExpression(SyntaxKind.SimpleMemberAccessExpression, layer.WithoutTrivia(), SyntaxFactory.IdentifierName(WellKnownNames.ForwardMethod)),
            SyntaxFactory.ArgumentList([SyntaxFactory.Argument(input.WithoutTrivia())])).InPlaceOf(product)
        : product;
}
