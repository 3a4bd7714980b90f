using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Changes to the argument list of an attribute that keep everything around them.</summary>
internal static class AttributeEdits
{
    /// <summary>The attribute with the named setting at <paramref name="value"/>, whether it was set before or not.</summary>
    public static AttributeSyntax WithSetting(AttributeSyntax attribute, string setting, ExpressionSyntax value)
    {
        if (attribute.ArgumentList is not { } list) return attribute;
        var existing = list.Arguments.FirstOrDefault(argument => argument.NameEquals?.Name.Identifier.ValueText == setting);
        if (existing is not null) return attribute.ReplaceNode(existing.Expression, value.InPlaceOf(existing.Expression));

        // Parsed: what the factory makes has elastic trivia, which the editor would format in its own way.
        var added = SyntaxFactory.ParseAttributeArgumentList($"({setting} = {value})")!.Arguments[0];
        return attribute.WithArgumentList(list.WithArguments(Append(list.Arguments, added)));
    }

    private static SeparatedSyntaxList<AttributeArgumentSyntax> Append(SeparatedSyntaxList<AttributeArgumentSyntax> arguments, AttributeArgumentSyntax added)
    {
        if (arguments.Count == 0) return SyntaxFactory.SingletonSeparatedList(added);
        var last = arguments.Last();
        var after = last.GetTrailingTrivia();
        SyntaxTriviaList behind;
        if (after.Any(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia)))
        {
            // One argument a line: what stands behind the last one stays there, and the new one gets a line like it.
            added = added.WithLeadingTrivia(SyntaxEdits.IndentationOf(last.GetFirstToken())).WithTrailingTrivia(SyntaxEdits.LineEndOf(last));
            behind = after;
        }
        else if (SyntaxEdits.IndentationOf(last.GetFirstToken()) is { Count: > 0 } indentation && arguments.Count > 1)
        {
            added = added.WithLeadingTrivia(indentation);
            behind = after.Add(SyntaxEdits.LineEndOf(last));
        }
        else
        {
            behind = after.Add(SyntaxFactory.Space);
        }
        var comma = SyntaxFactory.Token([], SyntaxKind.CommaToken, behind);
        var items = arguments.Replace(last, last.WithTrailingTrivia()).GetWithSeparators().Add(comma).Add(added);
        return SyntaxFactory.SeparatedList<AttributeArgumentSyntax>(items);
    }

    /// <summary>The list without <paramref name="argument"/>; the comments around it and its comma go to the argument after it, or else to the one before.</summary>
    public static AttributeArgumentListSyntax Without(AttributeArgumentListSyntax list, AttributeArgumentSyntax argument)
    {
        var index = list.Arguments.IndexOf(argument);
        var isLast = index == list.Arguments.Count - 1;
        if (index < 0) return list;
        var own = argument.GetLeadingTrivia().AddRange(SyntaxEdits.CommentsInside(argument)).AddRange(argument.GetTrailingTrivia());
        if (list.Arguments.Count == 1) return list.WithArguments([]).WithCloseParenToken(list.CloseParenToken.WithLeadingTrivia(own.AddRange(list.CloseParenToken.LeadingTrivia)));
        var comma = list.Arguments.GetSeparator(isLast ? index - 1 : index);
        var commas = comma.LeadingTrivia.AddRange(comma.TrailingTrivia);
        SyntaxTriviaList kept = isLast ? commas.AddRange(own) : own.AddRange(commas);
        if (!kept.Any(SyntaxEdits.IsComment)) return list.WithArguments(list.Arguments.RemoveAt(index));
        var neighbour = list.Arguments[isLast ? index - 1 : index + 1];
        var changed = isLast
            ? neighbour.WithTrailingTrivia(neighbour.GetTrailingTrivia().AddRange(kept))
            : neighbour.WithLeadingTrivia(kept.AddRange(neighbour.GetLeadingTrivia()));
        return list.WithArguments(list.Arguments.Replace(neighbour, changed).RemoveAt(index));
    }
}
