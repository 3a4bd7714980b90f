using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Changes that keep every comment.</summary>
internal static class SyntaxEdits
{
    /// <summary>
    /// <paramref name="changed"/> in the place of <paramref name="original"/>, with the comments around the original and those inside it that the
    /// changed node has not.
    /// </summary>
    public static TNode InPlaceOf<TNode>(this TNode changed, SyntaxNode original)
        where TNode : SyntaxNode
    {
        var kept = changed.DescendantTrivia().Where(IsComment).Select(comment => comment.ToString()).ToList();
        return changed.WithLeadingTrivia(original.GetLeadingTrivia()).WithTrailingTrivia(CommentsInside(original, kept).Concat(original.GetTrailingTrivia()));
    }

    /// <summary>The comments between the tokens of <paramref name="node"/>, but for those that stand elsewhere already.</summary>
    public static IEnumerable<SyntaxTrivia> CommentsInside(SyntaxNode node, IEnumerable<string>? elsewhere = null)
    {
        var others = elsewhere?.ToList() ?? [];
        foreach (var comment in node.WithoutTrivia().DescendantTrivia().Where(IsComment))
        {
            if (others.Remove(comment.ToString())) continue;
            yield return SyntaxFactory.Space;
            yield return comment;
            // A comment to the end of the line needs one.
            if (comment.IsKind(SyntaxKind.SingleLineCommentTrivia)) yield return LineEndOf(node);
        }
    }

    /// <summary>Whether <paramref name="trivia"/> is a comment.</summary>
    public static bool IsComment(SyntaxTrivia trivia) => trivia.Kind() is SyntaxKind.SingleLineCommentTrivia or SyntaxKind.MultiLineCommentTrivia;

    /// <summary>The line end that the file of <paramref name="node"/> uses.</summary>
    public static SyntaxTrivia LineEndOf(SyntaxNode node)
    {
        var first = node.SyntaxTree.GetRoot().DescendantTrivia(descendIntoTrivia: true).FirstOrDefault(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia));
        return first == default ? SyntaxFactory.LineFeed : first;
    }

    /// <summary>The white space before <paramref name="token"/> on its line; empty where it is not the first of its line.</summary>
    public static SyntaxTriviaList IndentationOf(SyntaxToken token)
    {
        var startsLine = token.GetPreviousToken(includeZeroWidth: true).TrailingTrivia.Concat(token.LeadingTrivia).Any(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia));
        return startsLine && token.LeadingTrivia is [.., var last] && last.IsKind(SyntaxKind.WhitespaceTrivia) ? [last] : [];
    }

    /// <summary>The first of <paramref name="candidates"/> that the member around <paramref name="node"/> does not mention.</summary>
    public static string FreeName(SyntaxNode node, params string[] candidates)
    {
        // Statements at the top of a file share one scope.
        var scope = node.FirstAncestorOrSelf<MemberDeclarationSyntax>(member => member is not GlobalStatementSyntax) as SyntaxNode ?? node.SyntaxTree.GetRoot();
        var taken = new HashSet<string>(scope.DescendantTokens().Where(token => token.IsKind(SyntaxKind.IdentifierToken)).Select(token => token.ValueText));
        if (candidates.FirstOrDefault(candidate => !taken.Contains(candidate)) is { } free) return free;
        return Enumerable.Range(2, taken.Count + 1).Select(number => $"{candidates[0]}{number}").First(name => !taken.Contains(name));
    }
}
