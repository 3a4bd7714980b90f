using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>The names of one type, by member. Names are hashed.</summary>
internal sealed class TypeNames(int start)
{
    /// <summary>Where the declaration starts.</summary>
    public int Start { get; } = start;

    public List<MemberNames> Members { get; } = [];

    /// <summary>What any member uses.</summary>
    public HashSet<ulong> Used { get; } = [];

    /// <summary>What any member has as the type of something.</summary>
    public HashSet<ulong> Types { get; } = [];

    /// <summary>What any member assigns.</summary>
    public HashSet<ulong> Assigned { get; } = [];

    /// <summary>The names in the attributes of the type.</summary>
    public HashSet<ulong> Attributes { get; } = [];

    /// <summary>What the attributes name; where they may name it by constants, the fields and properties too.</summary>
    public HashSet<ulong> Targets { get; } = [];
}

/// <summary>The names of one member; the head of a type counts as one, and so do all statements at the top of a file.</summary>
/// <param name="Start">Where it starts.</param>
/// <param name="IsConstruction">Whether it runs when an object of the type is constructed.</param>
/// <param name="Declared">What other code that leads to it mentions.</param>
internal sealed record MemberNames(int Start, bool IsConstruction, HashSet<ulong> Declared)
{
    /// <summary>Names in expressions, of created objects and of base classes.</summary>
    public HashSet<ulong> Used { get; } = [];

    /// <summary>Names of the types of members, parameters, variables and patterns: what has such a type need not be made here.</summary>
    public HashSet<ulong> Types { get; } = [];

    /// <summary>Names of what is assigned, or handed on for writing.</summary>
    public HashSet<ulong> Assigned { get; } = [];

    /// <summary>Whether an object is created whose type stands elsewhere: <c>new(…)</c>.</summary>
    public bool CreatesUnnamed { get; set; }
}

/// <summary>Collects the names of a file.</summary>
internal static class NamesOfMembers
{
    /// <summary>Methods that the compiler calls without their names: for collection initialisers, deconstruction, loops, queries, ranges.</summary>
    private static readonly HashSet<string> CalledByPattern =
        ["Add", "Deconstruct", "GetEnumerator", "MoveNext", "Current", "GetAwaiter", "GetResult", "Select", "SelectMany", "Where", "Slice", "Length", "Count"];

    public static IReadOnlyList<TypeNames> Of(SyntaxNode root)
    {
        var types = new List<TypeNames>();
        var top = new TypeNames(-1);
        foreach (var directive in root.DescendantNodes(node => node is CompilationUnitSyntax or BaseNamespaceDeclarationSyntax).OfType<UsingDirectiveSyntax>())
        {
            // Who names the alias names what it stands for.
            if (directive.Alias is { } alias) Add(top, new MemberNames(directive.SpanStart, false, [Fingerprint.Of(alias.Name.Identifier.ValueText)]), [directive]);
        }
        var statements = new MemberNames(-1, false, []);
        Visit(root, top, statements, types);
        if (statements.Used.Count > 0) top.Members.Add(statements);
        types.Add(top);
        return types;
    }

    /// <summary>Where the member that <see cref="MemberNames.Start"/> means starts.</summary>
    public static int StartOf(MemberDeclarationSyntax member) => member is GlobalStatementSyntax ? -1 : member.SpanStart;

    private static void Visit(SyntaxNode node, TypeNames top, MemberNames statements, List<TypeNames> types)
    {
        foreach (var child in node.ChildNodes().OfType<MemberDeclarationSyntax>())
        {
            switch (child)
            {
                case BaseNamespaceDeclarationSyntax: Visit(child, top, statements, types); break;
                case GlobalStatementSyntax: Collect(top, statements, [child]); break;
                case BaseTypeDeclarationSyntax type: VisitType(type, types); break;
                default: AddMember(top, "", child); break;
            }
        }
    }

    private static void VisitType(BaseTypeDeclarationSyntax type, List<TypeNames> types)
    {
        var names = new TypeNames(type.SpanStart);
        types.Add(names);
        var name = type.Identifier.ValueText;
        var head = new MemberNames(type.SpanStart, true, [Fingerprint.Of(name)]);
        Add(names, head, type.ChildNodes().Where(part => part is not (MemberDeclarationSyntax or EnumMemberDeclarationSyntax)));
        var mayNameByConstant = type.AttributeLists.SelectMany(list => list.Attributes).SelectMany(attribute => attribute.ArgumentList?.Arguments ?? [])
            .Where(argument => argument.NameEquals is null).SelectMany(argument => argument.DescendantNodes()).OfType<SimpleNameSyntax>()
            .Any(name => name.Identifier.ValueText != "nameof" && !name.Ancestors().Any(around => around is InvocationExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.ValueText: "nameof" } }));
        foreach (var token in type.AttributeLists.SelectMany(list => list.DescendantTokens()))
        {
            if (token.IsKind(SyntaxKind.IdentifierToken)) names.Attributes.Add(Fingerprint.Of(token.ValueText));
            if (token.Kind() is SyntaxKind.IdentifierToken or SyntaxKind.StringLiteralToken) names.Targets.Add(Fingerprint.Of(token.ValueText));
        }
        if (type is not TypeDeclarationSyntax { Members: var members }) return;
        foreach (var member in members)
        {
            if (member is BaseTypeDeclarationSyntax nested) VisitType(nested, types);
            else AddMember(names, name, member);
            if (mayNameByConstant) names.Targets.UnionWith(names.Members[names.Members.Count - 1].Declared);
        }
    }

    private static void AddMember(TypeNames type, string typeName, MemberDeclarationSyntax member)
    {
        HashSet<ulong> declared = [];
        var runsWithConstruction = false;
        switch (member)
        {
            case BaseFieldDeclarationSyntax field:
                declared.UnionWith(field.Declaration.Variables.Select(variable => Fingerprint.Of(variable.Identifier.ValueText)));
                runsWithConstruction = field.Declaration.Variables.Any(variable => variable.Initializer is not null);
                break;
            case PropertyDeclarationSyntax property:
                declared.Add(Fingerprint.Of(property.Identifier.ValueText));
                runsWithConstruction = property.Initializer is not null || CalledByPattern.Contains(property.Identifier.ValueText);
                break;
            case MethodDeclarationSyntax method:
                declared.Add(Fingerprint.Of(method.Identifier.ValueText));
                runsWithConstruction = CalledByPattern.Contains(method.Identifier.ValueText);
                break;
            case DelegateDeclarationSyntax { Identifier.ValueText: var name }:
                declared.Add(Fingerprint.Of(name));
                break;
            case EventDeclarationSyntax { Identifier.ValueText: var name }:
                declared.Add(Fingerprint.Of(name));
                break;
            default:
                // Constructors, operators and indexers are called by the type's name, or on what is declared with it.
                runsWithConstruction = true;
                break;
        }
        if (runsWithConstruction) declared.Add(Fingerprint.Of(typeName));
        Add(type, new MemberNames(StartOf(member), runsWithConstruction, declared), [member]);
    }

    private static void Add(TypeNames type, MemberNames member, IEnumerable<SyntaxNode> parts)
    {
        Collect(type, member, parts);
        type.Members.Add(member);
    }

    private static void Collect(TypeNames type, MemberNames member, IEnumerable<SyntaxNode> parts)
    {
        foreach (var part in parts)
        {
            foreach (var node in part.DescendantNodesAndSelf())
            {
                if (node is SimpleNameSyntax name) (IsTypeOfSomething(name) ? member.Types : member.Used).Add(Fingerprint.Of(name.Identifier.ValueText));
                member.CreatesUnnamed |= node is ImplicitObjectCreationExpressionSyntax;
            }
            var locals = new HashSet<string>(part.DescendantNodes().Select(NameOfLocal).OfType<string>());
            foreach (var written in WrittenNames.Targets(part))
            {
                if (!locals.Contains(written)) member.Assigned.Add(Fingerprint.Of(written));
            }
        }
        type.Used.UnionWith(member.Used);
        type.Types.UnionWith(member.Types);
        type.Assigned.UnionWith(member.Assigned);
    }

    private static string? NameOfLocal(SyntaxNode node) => node switch
    {
        VariableDeclaratorSyntax { Parent.Parent: not BaseFieldDeclarationSyntax } local => local.Identifier.ValueText,
        SingleVariableDesignationSyntax local => local.Identifier.ValueText,
        ParameterSyntax { Parent.Parent: not TypeDeclarationSyntax } parameter => parameter.Identifier.ValueText,
        _ => null,
    };

    /// <summary>Whether a name is (part of) the type of a member, parameter, variable or pattern.</summary>
    private static bool IsTypeOfSomething(SimpleNameSyntax name)
    {
        SyntaxNode type = name;
        while (type.Parent is QualifiedNameSyntax or AliasQualifiedNameSyntax or TypeArgumentListSyntax or GenericNameSyntax or NullableTypeSyntax or ArrayTypeSyntax or PointerTypeSyntax
            or RefTypeSyntax or TupleTypeSyntax or TupleElementSyntax)
        {
            type = type.Parent;
        }
        return type.Parent switch
        {
            // What a delegate makes is asked for by the name of its variable.
            VariableDeclarationSyntax or PropertyDeclarationSyntax or ParameterSyntax when HoldsCode(type) => false,
            VariableDeclarationSyntax or ParameterSyntax or BasePropertyDeclarationSyntax or CastExpressionSyntax or TypeOfExpressionSyntax or DefaultExpressionSyntax or ForEachStatementSyntax
                or DeclarationExpressionSyntax or CatchDeclarationSyntax or PatternSyntax or TypeConstraintSyntax => true,
            MethodDeclarationSyntax method => method.ReturnType == type,
            LocalFunctionStatementSyntax function => function.ReturnType == type,
            _ => false,
        };
    }

    private static bool HoldsCode(SyntaxNode type) =>
        type.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().Any(name => name.Identifier.ValueText is "Func" or "Action" or "Lazy" or "Converter");
}
