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
        if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var adapted) || adapted is null) yield break;
        // The call of parameters(), or the variable that holds its result.
        if (reported.DescendantNodesAndSelf().OfType<ExpressionSyntax>().FirstOrDefault() is not { } parameters || parameters.Span != diagnostic.Location.SourceSpan) yield break;
        yield return Fix.Replace(
            $"Use {adapted}.TrainableParameters()", nameof(TrainableParametersFix), parameters,
            call => SyntaxFactory.ParseExpression($"{adapted}.TrainableParameters()").InPlaceOf(call));
    }
}
