using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.CodeModel;

/// <summary>How symbols are written in models and in generated code.</summary>
public static class SymbolNames
{
    /// <summary><c>global::</c> names with type arguments, keywords escaped, without nullability.</summary>
    public static readonly SymbolDisplayFormat FullyQualified = SymbolDisplayFormat.FullyQualifiedFormat;

    /// <summary>As <see cref="FullyQualified"/>, with <c>?</c> on nullable reference types.</summary>
    public static readonly SymbolDisplayFormat FullyQualifiedNullable =
        SymbolDisplayFormat.FullyQualifiedFormat.AddMiscellaneousOptions(SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier);

    /// <summary>A namespace or type name without <c>global::</c>, keywords escaped.</summary>
    public static readonly SymbolDisplayFormat EscapedNamespace = new(
        globalNamespaceStyle: SymbolDisplayGlobalNamespaceStyle.Omitted,
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypesAndNamespaces,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers);

    /// <summary>A namespace as metadata has it.</summary>
    public static readonly SymbolDisplayFormat Unescaped = new(
        globalNamespaceStyle: SymbolDisplayGlobalNamespaceStyle.Omitted,
        typeQualificationStyle: SymbolDisplayTypeQualificationStyle.NameAndContainingTypesAndNamespaces);

    /// <summary><paramref name="name"/> as the name of a type: <c>@class</c> for <c>class</c>, <c>@record</c> for <c>record</c>.</summary>
    public static string Escape(string name) => SyntaxFacts.GetContextualKeywordKind(name) != SyntaxKind.None ? "@" + name : EscapeMember(name);

    /// <summary><paramref name="name"/> as the name of a member after a dot, where only reserved words need escaping.</summary>
    public static string EscapeMember(string name) => SyntaxFacts.GetKeywordKind(name) != SyntaxKind.None ? "@" + name : name;
}
