using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.CodeFixes;

/// <summary>What the code fixes share: each offers changes of syntax, in one document, that can be applied to all.</summary>
public abstract class FixProvider : CodeFixProvider
{
    /// <inheritdoc/>
    public sealed override FixAllProvider GetFixAllProvider() => WellKnownFixAllProviders.BatchFixer;

    /// <summary>Offers to replace the syntax at <paramref name="span"/> by what <paramref name="change"/> makes of it.</summary>
    private protected static void Offer<TNode>(
        CodeFixContext context, Diagnostic diagnostic, Document document, TextSpan span, string title, string key, Func<TNode, SyntaxNode?> change)
        where TNode : SyntaxNode =>
        Offer(context, diagnostic, document, span, title, key, node => node, change);

    /// <summary>As the other overload, for the node that <paramref name="select"/> finds from there.</summary>
    private protected static void Offer<TNode>(
        CodeFixContext context, Diagnostic diagnostic, Document document, TextSpan span, string title, string key, Func<TNode, TNode?> select, Func<TNode, SyntaxNode?> change)
        where TNode : SyntaxNode
    {
        context.RegisterCodeFix(
            CodeAction.Create(
                title,
                async cancellationToken =>
                {
                    if (await document.GetSyntaxRootAsync(cancellationToken).ConfigureAwait(false) is not { } root) return document;
                    if (root.FindNode(span, getInnermostNodeForTie: true).FirstAncestorOrSelf<TNode>() is not { } found
                        || select(found) is not { } node
                        || change(node) is not { } changed)
                    {
                        return document;
                    }
                    return document.WithSyntaxRoot(root.ReplaceNode(node, changed));
                },
                equivalenceKey: key),
            diagnostic);
    }
}
