using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers.Training;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Keeps the result of <c>AttachAdapters</c> in a variable that disposes it.</summary>
// Fixes: FOSSIL034
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class KeepAdaptedModelFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [AdaptedModelDiscarded.Id];

    /// <inheritdoc/>
    public override async Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        var model = await context.Document.GetSemanticModelAsync(context.CancellationToken).ConfigureAwait(false);
        foreach (var diagnostic in context.Diagnostics)
        {
            var name = model is null || model.LookupSymbols(diagnostic.Location.SourceSpan.Start, name: "adapted").IsEmpty ? "adapted" : "adaptedModel";
            Offer<ExpressionStatementSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, $"Keep it: using var {name} = …", nameof(KeepAdaptedModelFix),
                statement => SyntaxFactory.ParseStatement($"using var {name} = {statement.Expression.WithoutTrivia()};").WithTriviaFrom(statement));
        }
    }
}
