using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Uses;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Formatting;

namespace Fossil.CodeFixes;

/// <summary>Adds <c>RegisterComponents();</c> at the end of the constructor that assigns the target.</summary>
// Fixes: FOSSIL006
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class RegisterComponentsFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [TargetNotRegistered.Id];

    /// <inheritdoc/>
    public override async Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        var root = await context.Document.GetSyntaxRootAsync(context.CancellationToken).ConfigureAwait(false);
        foreach (var diagnostic in context.Diagnostics)
        {
            if (!diagnostic.Properties.ContainsKey(DiagnosticProperties.Replacement)) continue;
            if (root?.FindNode(diagnostic.Location.SourceSpan).FirstAncestorOrSelf<ConstructorDeclarationSyntax>() is not { Body: not null }) continue;
            Offer<ConstructorDeclarationSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, "Call RegisterComponents() at the end of the constructor", nameof(RegisterComponentsFix), WithCall);
        }
    }

    private static SyntaxNode? WithCall(ConstructorDeclarationSyntax constructor)
    {
        if (constructor.Body is not { } body) return null;
        var lineEnd = body.DescendantTrivia().FirstOrDefault(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia));
        var call = SyntaxFactory.ParseStatement("RegisterComponents();")
            .WithLeadingTrivia(SyntaxFactory.ElasticMarker).WithTrailingTrivia(lineEnd == default ? SyntaxFactory.ElasticLineFeed : lineEnd)
            .WithAdditionalAnnotations(Formatter.Annotation);
        return constructor.WithBody(body.AddStatements(call));
    }
}
