using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Uses;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Turns the method group <c>up.forward</c> into the lambda <c>x => up.forward(x)</c>, whose call is rewired.</summary>
// Fixes: FOSSIL007
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class CallInLambdaFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [UseNotRewired.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var type) || type is null) yield break;
        if (reported.FirstAncestorOrSelf<MemberAccessExpressionSyntax>() is not { ContainsDirectives: false } group || !IsSameLater(group.Expression)) yield break;
        yield return Fix.Replace("Call it in a lambda", nameof(CallInLambdaFix), group, access => Lambda(access, type));
    }

    private static ExpressionSyntax Lambda(MemberAccessExpressionSyntax group, string type)
    {
        var name = SyntaxEdits.FreeName(group, "x", "input", "value", "tensor");
        // A variable that takes its type from the delegate needs the parameter's type.
        var isUntyped = group.Parent is EqualsValueClauseSyntax { Parent.Parent: VariableDeclarationSyntax { Type.IsVar: true } };
        var lambda = $"{(isUntyped ? $"({type} {name})" : name)} => {group.WithoutTrivia()}({name})";
        var standsAlone = group.Parent is ArgumentSyntax or EqualsValueClauseSyntax or AssignmentExpressionSyntax or ReturnStatementSyntax or ArrowExpressionClauseSyntax
            or InitializerExpressionSyntax or ExpressionElementSyntax or ParenthesizedExpressionSyntax;
        return SyntaxFactory.ParseExpression(standsAlone ? lambda : $"({lambda})").InPlaceOf(group);
    }

    /// <summary>Whether an expression gives the same object when the lambda runs: a call or an index might not.</summary>
    private static bool IsSameLater(ExpressionSyntax receiver) =>
        !receiver.DescendantNodesAndSelf().Any(node => node is InvocationExpressionSyntax or ElementAccessExpressionSyntax or AssignmentExpressionSyntax or BaseObjectCreationExpressionSyntax);
}
