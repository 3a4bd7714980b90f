using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel;

/// <summary>Finds the piece of source that a <see cref="ParseProblem"/> means. For analyzers, which hold the symbols; models hold no location.</summary>
public static class AttributeSyntaxLocator
{
    /// <summary>Where <paramref name="problem"/> stands: a target's name, a setting, the attribute, or the name of the class.</summary>
    public static Location Locate(INamedTypeSymbol type, WellKnownTypes types, ParseProblem problem, CancellationToken cancellationToken)
    {
        var attributes = AdaptedClassParser.AdaptAttributes(type, types);
        if (problem.AttributeIndex < 0 || problem.AttributeIndex >= attributes.Count
            || attributes[problem.AttributeIndex].ApplicationSyntaxReference?.GetSyntax(cancellationToken) is not AttributeSyntax syntax)
        {
            return type.Locations.FirstOrDefault() ?? Location.None;
        }
        return Setting(syntax, problem.Setting)?.GetLocation() ?? Target(syntax, problem.TargetIndex)?.GetLocation() ?? syntax.GetLocation();
    }

    /// <summary>Where the name of <paramref name="target"/> stands.</summary>
    public static Location Locate(INamedTypeSymbol type, WellKnownTypes types, AdaptedTarget target, CancellationToken cancellationToken) =>
        Locate(type, types, new ParseProblem(default, target.AttributeIndex, target.TargetIndex, null, []), cancellationToken);

    /// <summary>The expression of the target argument at <paramref name="index"/>, whether the names are listed or given as one array; null where it cannot be told.</summary>
    public static SyntaxNode? Target(AttributeSyntax attribute, int index)
    {
        if (index < 0 || attribute.ArgumentList is not { } list) return null;
        var positional = list.Arguments.Where(argument => argument.NameEquals is null).Select(argument => argument.Expression).ToList();
        if (positional is [var single])
        {
            var elements = single switch
            {
                ArrayCreationExpressionSyntax { Initializer: { } initializer } => initializer.Expressions.ToList<SyntaxNode>(),
                ImplicitArrayCreationExpressionSyntax array => array.Initializer.Expressions.ToList<SyntaxNode>(),
                CollectionExpressionSyntax collection => collection.Elements.ToList<SyntaxNode>(),
                _ => null,
            };
            if (elements is not null) return index < elements.Count ? elements[index] : single;
        }
        return index < positional.Count ? positional[index] : null;
    }

    /// <summary>The value given to the named setting; null where it is not set.</summary>
    public static SyntaxNode? Setting(AttributeSyntax attribute, string? name) =>
        name is null ? null : attribute.ArgumentList?.Arguments.FirstOrDefault(argument => argument.NameEquals?.Name.Identifier.ValueText == name)?.Expression;
}
