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

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (var diagnostic in context.Diagnostics)
        {
            if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Replacement, out var adapted) || adapted is null) continue;
            Offer<InvocationExpressionSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, $"Use {adapted}.TrainableParameters()", nameof(TrainableParametersFix),
                call => SyntaxFactory.ParseExpression($"{adapted}.TrainableParameters()").WithTriviaFrom(call));
        }
        return Task.CompletedTask;
    }
}
