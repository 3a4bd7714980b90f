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
        // A declaration stands in a block or at the top of a file, not behind an `if` or in the section of a switch.
        if (reported.FirstAncestorOrSelf<ExpressionStatementSyntax>() is not { ContainsDirectives: false, Parent: BlockSyntax or GlobalStatementSyntax } discarding) yield break;
        if (ValueOf(discarding).Span != diagnostic.Location.SourceSpan) yield break;
        yield return Fix.Replace("Keep it: using var adapted = …", nameof(KeepAdaptedModelFix), discarding, Keeping);
    }

    private static StatementSyntax Keeping(ExpressionStatementSyntax statement)
    {
        var name = SyntaxEdits.FreeName(statement, "adapted", "adaptedModel");
        return SyntaxFactory.ParseStatement($"using var {name} = {ValueOf(statement).WithoutTrivia()};").InPlaceOf(statement);
    }

    private static ExpressionSyntax ValueOf(ExpressionStatementSyntax statement) =>
        statement.Expression is AssignmentExpressionSyntax { Left: IdentifierNameSyntax { Identifier.ValueText: "_" } } discard ? discard.Right : statement.Expression;
}
