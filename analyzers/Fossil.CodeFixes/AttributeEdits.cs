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
        var list = attribute.ArgumentList ?? SyntaxFactory.AttributeArgumentList();
        var existing = list.Arguments.FirstOrDefault(argument => argument.NameEquals?.Name.Identifier.ValueText == setting);
        if (existing is not null) return attribute.ReplaceNode(existing.Expression, value.WithTriviaFrom(existing.Expression));

        var name = SyntaxFactory.NameEquals(SyntaxFactory.IdentifierName(setting)
            .WithTrailingTrivia(SyntaxFactory.Space)).WithEqualsToken(SyntaxFactory.Token(SyntaxKind.EqualsToken).WithTrailingTrivia(SyntaxFactory.Space));
        var added = SyntaxFactory.AttributeArgument(value).WithNameEquals(name);
        if (list.Arguments.Count == 0) return attribute.WithArgumentList(list.WithArguments(SyntaxFactory.SingletonSeparatedList(added)));
        var comma = SyntaxFactory.Token(SyntaxKind.CommaToken).WithTrailingTrivia(SyntaxFactory.Space);
        var items = list.Arguments.GetWithSeparators().Add(comma).Add(added);
        return attribute.WithArgumentList(list.WithArguments(SyntaxFactory.SeparatedList<AttributeArgumentSyntax>(items)));
    }

    /// <summary>The attribute without <paramref name="argument"/>.</summary>
    public static AttributeSyntax? Without(AttributeSyntax attribute, AttributeArgumentSyntax argument) =>
        attribute.ArgumentList is { } list ? attribute.WithArgumentList(list.WithArguments(list.Arguments.Remove(argument))) : null;

    /// <summary>A number as an expression.</summary>
    public static ExpressionSyntax Number(int value) => SyntaxFactory.LiteralExpression(SyntaxKind.NumericLiteralExpression, SyntaxFactory.Literal(value));
}
