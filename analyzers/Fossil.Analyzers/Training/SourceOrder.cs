using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Analyzers.Training;

/// <summary>Which of two places of one body runs first, as far as the source tells without following jumps.</summary>
internal static class SourceOrder
{
    /// <summary>Whether <paramref name="here"/> runs before <paramref name="there"/> on each way there that does not leave the statements around it.</summary>
    public static bool Precedes(SyntaxNode here, SyntaxNode there) => IsEarlier(here, there) && RegionOf(here).Span.Contains(there.Span);

    /// <summary>Whether <paramref name="here"/> runs before <paramref name="there"/> at least where the conditions around it hold.</summary>
    public static bool MayPrecede(SyntaxNode here, SyntaxNode there)
    {
        if (!IsEarlier(here, there)) return false;
        var child = here;
        foreach (var ancestor in here.Ancestors())
        {
            if (ancestor.Span.Contains(there.Span)) return !IsExclusive(ancestor, child, there);
            if (ancestor is CatchClauseSyntax || Jumps(ancestor, here)) return false;
            child = ancestor;
        }
        return false;
    }

    /// <summary>Whether a place runs each time that its method does, or the object of its member is made.</summary>
    public static bool IsUnconditional(SyntaxNode node) => RegionOf(node) is BlockSyntax { Parent: BaseMethodDeclarationSyntax } or MemberDeclarationSyntax;

    /// <summary>The lambda or local function around a place; null in the body itself.</summary>
    public static SyntaxNode? FunctionAround(SyntaxNode node) =>
        node.Ancestors().FirstOrDefault(ancestor => ancestor is AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax);

    private static bool IsEarlier(SyntaxNode here, SyntaxNode there)
    {
        if (here.SpanStart >= there.SpanStart || here.SyntaxTree != there.SyntaxTree) return false;
        var function = FunctionAround(here);
        // A lambda that is an argument runs where it stands, or later; one that is kept, or a local function, runs at any time.
        for (var inner = FunctionAround(there); inner != function; inner = FunctionAround(inner))
        {
            if (inner?.Parent is not ArgumentSyntax) return false;
        }
        return true;
    }

    /// <summary>The smallest piece of code that runs as a whole where <paramref name="node"/> runs.</summary>
    private static SyntaxNode RegionOf(SyntaxNode node)
    {
        foreach (var part in node.AncestorsAndSelf())
        {
            var isConditional = part.Parent switch
            {
                ConditionalExpressionSyntax condition => part != condition.Condition,
                SwitchExpressionArmSyntax arm => part == arm.Expression,
                ConditionalAccessExpressionSyntax access => part == access.WhenNotNull,
                BinaryExpressionSyntax binary => part == binary.Right && binary.Kind() is SyntaxKind.LogicalAndExpression or SyntaxKind.LogicalOrExpression or SyntaxKind.CoalesceExpression,
                _ => false,
            };
            if (isConditional || part is AnonymousFunctionExpressionSyntax or MemberDeclarationSyntax) return part;
            if (part is not StatementSyntax statement) continue;
            return statement.Parent switch
            {
                BlockSyntax or SwitchSectionSyntax => statement.Parent,
                GlobalStatementSyntax { Parent: { } unit } => unit,
                _ => statement,
            };
        }
        return node;
    }

    private static bool IsExclusive(SyntaxNode common, SyntaxNode child, SyntaxNode there) => common switch
    {
        IfStatementSyntax { Else: { } other } branch => child == branch.Statement && other.Span.Contains(there.Span),
        ConditionalExpressionSyntax condition => child == condition.WhenTrue,
        SwitchStatementSyntax or SwitchExpressionSyntax => !child.Span.Contains(there.Span),
        _ => false,
    };

    private static bool Jumps(SyntaxNode block, SyntaxNode here) =>
        block is BlockSyntax or SwitchSectionSyntax && block.DescendantNodes().Any(node => node.SpanStart > here.SpanStart
            && node is ReturnStatementSyntax or ThrowStatementSyntax or BreakStatementSyntax or ContinueStatementSyntax or GotoStatementSyntax or YieldStatementSyntax);
}
