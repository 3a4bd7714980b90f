using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL031: Adapters that are attached in a scope that ends before they are used.</summary>
internal static partial class AttachInDisposeScope
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var attach in events.Of(EventKind.Attach))
        {
            if (attach.Result is not { } adapted || ScopeAround(attach.Operation.Syntax) is not { } scope) continue;
            if (adapted.Symbol is ILocalSymbol local && !IsUsedAfter(scope, local)) continue;
            report(Diagnostic.Create(Descriptor, attach.Operation.Syntax.GetLocation(), adapted.Name));
        }
    }

    /// <summary>The statement or block at whose end the innermost <c>NewDisposeScope</c> around <paramref name="node"/> ends.</summary>
    private static SyntaxNode? ScopeAround(SyntaxNode node)
    {
        foreach (var ancestor in node.Ancestors())
        {
            if (ancestor is AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax or MemberDeclarationSyntax) return null;
            if (ancestor is UsingStatementSyntax statement && (MakesScope(statement.Expression) || MakesScope(statement.Declaration))) return statement;
            if (ancestor is BlockSyntax block && block.Statements.Any(earlier => earlier.SpanStart < node.SpanStart
                && earlier is LocalDeclarationStatementSyntax { UsingKeyword.RawKind: not 0 } declaration && MakesScope(declaration.Declaration)))
            {
                return block;
            }
        }
        return null;
    }

    private static bool MakesScope(SyntaxNode? node) =>
        node is not null && node.DescendantNodesAndSelf().OfType<InvocationExpressionSyntax>().Any(call =>
            (call.Expression as MemberAccessExpressionSyntax)?.Name.Identifier.ValueText == "NewDisposeScope"
            || (call.Expression as IdentifierNameSyntax)?.Identifier.ValueText == "NewDisposeScope");

    /// <summary>Whether the variable is declared outside the scope and named after its end, or returned from it.</summary>
    private static bool IsUsedAfter(SyntaxNode scope, ILocalSymbol adapted)
    {
        var body = scope.Ancestors().FirstOrDefault(ancestor => ancestor is BaseMethodDeclarationSyntax or CompilationUnitSyntax or AccessorDeclarationSyntax) ?? scope;
        return body.DescendantNodes().OfType<IdentifierNameSyntax>().Any(name => name.Identifier.ValueText == adapted.Name
            && (name.SpanStart >= scope.Span.End && adapted.DeclaringSyntaxReferences.All(reference => !scope.Span.Contains(reference.Span))
                || (name.Parent is ReturnStatementSyntax && scope.Span.Contains(name.Span))));
    }
}
