using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Uses;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Adds <c>RegisterComponents();</c> at the end of the constructor that assigns the target, or what holds targets.</summary>
// Fixes: FOSSIL006 FOSSIL039
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class RegisterComponentsFix : FixProvider
{
    private const string Call = "RegisterComponents();";

    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [TargetNotRegistered.Id, AnnotatedModulesNotRegistered.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.ContainsKey(DiagnosticProperties.Replacement)) yield break;
        // A field with an initialiser is registered by any constructor of its class that makes the call.
        var constructor = reported.FirstAncestorOrSelf<ConstructorDeclarationSyntax>()
            ?? (reported.FirstAncestorOrSelf<TypeDeclarationSyntax>()?.Members.OfType<ConstructorDeclarationSyntax>().ToList() is [var only] ? only : null);
        if (constructor is not { Body: { } body } || EndsEarly(body)) yield break;
        yield return Fix.Replace("Call RegisterComponents() at the end of the constructor", nameof(RegisterComponentsFix), constructor, WithCall);
    }

    /// <summary>Whether the end of a body may not be reached.</summary>
    private static bool EndsEarly(BlockSyntax body) => body
        .DescendantNodes(node => node is not (AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax))
        .Any(node => node is ReturnStatementSyntax) || body.Statements.LastOrDefault() is ThrowStatementSyntax;

    private static SyntaxNode WithCall(ConstructorDeclarationSyntax constructor)
    {
        // Another target of the same constructor may have brought the call.
        if (constructor.Body is not { } body || body.Statements.LastOrDefault()?.WithoutTrivia().ToString() == Call) return constructor;
        var call = SyntaxFactory.ParseStatement(Call);
        var close = body.CloseBraceToken;
        var isOneLine = !body.DescendantTrivia().Any(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia) && trivia.SpanStart < close.SpanStart);
        if (isOneLine) return constructor.WithBody(body.AddStatements(call.WithTrailingTrivia(SyntaxFactory.Space)));

        // Comments and #endif before the brace stay behind the statements that they belong to.
        var indentation = body.Statements.Select(statement => SyntaxEdits.IndentationOf(statement.GetFirstToken())).FirstOrDefault(white => white.Count > 0);
        if (indentation.Count == 0) indentation = SyntaxEdits.IndentationOf(close).Add(SyntaxFactory.Whitespace(Unit(constructor)));
        var before = close.LeadingTrivia;
        if (before is [.., var white] && white.IsKind(SyntaxKind.WhitespaceTrivia)) before = before.RemoveAt(before.Count - 1);
        call = call.WithLeadingTrivia(before.AddRange(indentation)).WithTrailingTrivia(SyntaxEdits.LineEndOf(body));
        return constructor.WithBody(body.WithCloseBraceToken(close.WithLeadingTrivia(SyntaxEdits.IndentationOf(close))).AddStatements(call));
    }

    /// <summary>One step of indentation, as the constructor itself stands in its class.</summary>
    private static string Unit(ConstructorDeclarationSyntax constructor) =>
        SyntaxEdits.IndentationOf(constructor.GetFirstToken()).ToString().StartsWith("\t", StringComparison.Ordinal) ? "\t" : "    ";
}
