using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Training;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Gives an optimizer the adapters' parameters in place of all.</summary>
// Fixes: FOSSIL028
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class TrainableParametersFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [OptimizerOverAllParameters.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        // The call of parameters(), or the variable that holds its result.
        if (reported.DescendantNodesAndSelf().OfType<ExpressionSyntax>().FirstOrDefault() is not { } parameters || parameters.Span != diagnostic.Location.SourceSpan) yield break;
        if (diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var adapted) && adapted is not null)
        {
            yield return Fix.Replace($"Use {adapted}.TrainableParameters()", nameof(TrainableParametersFix), parameters, call => TrainableOf(adapted, call));
        }
        else if (diagnostic.AdditionalLocations is [_, var attach] && attach.SourceTree == parameters.SyntaxTree
            && KeepAdaptedModelFix.StatementOf(parameters.SyntaxTree.GetRoot().FindNode(attach.SourceSpan), attach) is { } discarding && IsInScope(discarding, parameters))
        {
            yield return new Fix("Keep the adapted model, and use its TrainableParameters()", nameof(TrainableParametersFix), parameters, (root, current) => KeepAndUse(root, current, discarding)) { Others = [discarding] };
        }
    }

    private static SyntaxNode KeepAndUse(SyntaxNode root, SyntaxNode parameters, ExpressionStatementSyntax discarding)
    {
        // Another optimizer may have been given the same adapted model before.
        if (root.GetCurrentNode(discarding) is not { } statement) return root.ReplaceNode(parameters, TrainableOf(Kept(root, discarding), parameters));
        var keeping = KeepAdaptedModelFix.Keeping(statement);
        var adapted = keeping.Declaration.Variables[0].Identifier.ValueText;
        return root.ReplaceNodes([statement, parameters], (original, _) => original == statement ? keeping : TrainableOf(adapted, original));
    }

    private static string Kept(SyntaxNode root, ExpressionStatementSyntax discarding) => root.DescendantNodes().OfType<VariableDeclaratorSyntax>()
        .Where(variable => variable.Initializer?.Value.ToString() is { } value && discarding.Expression.ToString().EndsWith(value, StringComparison.Ordinal))
        .Select(variable => variable.Identifier.ValueText).FirstOrDefault() ?? "adapted";

    private static ExpressionSyntax TrainableOf(string adapted, SyntaxNode call) => SyntaxFactory.ParseExpression($"{adapted}.TrainableParameters()").InPlaceOf(call);

    /// <summary>Whether what is declared in the place of a statement can be named at <paramref name="use"/>.</summary>
    private static bool IsInScope(ExpressionStatementSyntax statement, SyntaxNode use) =>
        statement.Parent is GlobalStatementSyntax ? use.FirstAncestorOrSelf<GlobalStatementSyntax>() is not null : statement.Parent!.Span.Contains(use.Span);
}
