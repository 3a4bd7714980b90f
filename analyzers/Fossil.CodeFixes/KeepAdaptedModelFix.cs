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

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (StatementOf(reported, diagnostic.Location) is not { } discarding) yield break;
        yield return Fix.Replace("Keep it: using var adapted = …", nameof(KeepAdaptedModelFix), discarding, Keeping);
    }

    /// <summary>The statement that discards the adapted model which the call at a place returns, where a declaration could take its place; null elsewhere.</summary>
    internal static ExpressionStatementSyntax? StatementOf(SyntaxNode call, Location place) =>
        // A declaration stands in a block or at the top of a file, not behind an `if` or in the section of a switch.
        call.FirstAncestorOrSelf<ExpressionStatementSyntax>() is { ContainsDirectives: false, Parent: BlockSyntax or GlobalStatementSyntax } discarding && ValueOf(discarding).Span == place.SourceSpan ? discarding : null;

    /// <summary>The declaration that takes the place of a statement.</summary>
    internal static LocalDeclarationStatementSyntax Keeping(ExpressionStatementSyntax statement)
    {
        var name = SyntaxEdits.FreeName(statement, "adapted", "adaptedModel");
        return (LocalDeclarationStatementSyntax)SyntaxFactory.ParseStatement($"using var {name} = {ValueOf(statement).WithoutTrivia()};").InPlaceOf(statement);
    }

    private static ExpressionSyntax ValueOf(ExpressionStatementSyntax statement) =>
        statement.Expression is AssignmentExpressionSyntax { Left: IdentifierNameSyntax { Identifier.ValueText: "_" } } discard ? discard.Right : statement.Expression;
}
