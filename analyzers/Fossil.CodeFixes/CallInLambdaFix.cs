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

    /// <inheritdoc/>
    public override async Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        var root = await context.Document.GetSyntaxRootAsync(context.CancellationToken).ConfigureAwait(false);
        var model = await context.Document.GetSemanticModelAsync(context.CancellationToken).ConfigureAwait(false);
        foreach (var diagnostic in context.Diagnostics)
        {
            if (!diagnostic.Properties.ContainsKey(DiagnosticProperties.Replacement) || root is null || model is null) continue;
            if (root.FindNode(diagnostic.Location.SourceSpan, getInnermostNodeForTie: true).FirstAncestorOrSelf<MemberAccessExpressionSyntax>() is not { } group) continue;
            var name = FreeName(model, group.SpanStart);
            Offer<MemberAccessExpressionSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, $"Call it in a lambda: {name} => {group}({name})", nameof(CallInLambdaFix),
                access => SyntaxFactory.ParseExpression($"{name} => {access.WithoutTrivia()}({name})").WithTriviaFrom(access));
        }
    }

    /// <summary>A name for the parameter that nothing has at <paramref name="position"/>.</summary>
    private static string FreeName(SemanticModel model, int position)
    {
        string[] candidates = ["x", "input", "value", "tensor"];
        var taken = model.LookupSymbols(position).Select(symbol => symbol.Name).ToImmutableHashSet();
        return candidates.FirstOrDefault(candidate => !taken.Contains(candidate)) ?? "argument";
    }
}
