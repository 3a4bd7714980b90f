using Microsoft.CodeAnalysis;

namespace Fossil.CodeFixes;

/// <summary>One change of syntax that a fix offers.</summary>
/// <param name="Title">What the editor shows.</param>
/// <param name="Key">The same for changes that are applied together by "fix all".</param>
/// <param name="Node">What is changed.</param>
/// <param name="Change">The changed root, from the root and the node as both stand when the change is made: other changes may have come before it.</param>
internal sealed record Fix(string Title, string Key, SyntaxNode Node, Func<SyntaxNode, SyntaxNode, SyntaxNode> Change)
{
    /// <summary>Other nodes that the change looks for in the changed root, by <c>GetCurrentNode</c>.</summary>
    public IReadOnlyList<SyntaxNode> Others { get; init; } = [];

    /// <summary>A change that puts another node in the place of <paramref name="node"/>.</summary>
    public static Fix Replace<TNode>(string title, string key, TNode node, Func<TNode, SyntaxNode> change)
        where TNode : SyntaxNode =>
        new(title, key, node, (root, current) => root.ReplaceNode(current, change((TNode)current)));

    /// <summary>Makes changes one after the other, each in the document that holds its node.</summary>
    public static async Task<Solution> ApplyAsync(Solution solution, IEnumerable<Fix> fixes, CancellationToken cancellationToken)
    {
        foreach (var file in fixes.GroupBy(fix => fix.Node.SyntaxTree).ToList())
        {
            if (solution.GetDocument(file.Key) is not { } document) continue;
            var root = await file.Key.GetRootAsync(cancellationToken).ConfigureAwait(false);
            root = root.TrackNodes(file.SelectMany(fix => fix.Others.Prepend(fix.Node)).Distinct());
            foreach (var fix in file)
            {
                // A change before it may have taken the node away.
                if (root.GetCurrentNode(fix.Node) is { } current) root = fix.Change(root, current);
            }
            solution = document.WithSyntaxRoot(root).Project.Solution;
        }
        return solution;
    }
}
