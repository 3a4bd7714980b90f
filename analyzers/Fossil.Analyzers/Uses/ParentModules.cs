using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Analyzers.Uses;

/// <summary>
/// Which modules may be part of another one: TorchSharp registers the components of a module when its parent registers the module. By names,
/// so that a module that may be in another is never taken for one that is in none.
/// </summary>
internal sealed class ParentModules(Compilation compilation, WellKnownTypes types)
{
    /// <summary>Code that mentions one of these may put a module into another.</summary>
    private static readonly string[] Containers = ["Sequential", "ModuleList", "ModuleDict", "register_module", "add_module", "Add", "append"];

    private readonly Lazy<List<Member>> members = new(() => [.. compilation.SyntaxTrees.SelectMany(tree => MembersOf(tree.GetRoot()))]);

    private readonly SequentialElements elements = new(compilation, types);

    /// <summary>Whether another module may register the components of a <paramref name="type"/>. A <c>Sequential</c> does not register those of its elements.</summary>
    public bool MayRegister(INamedTypeSymbol type, CancellationToken cancellationToken) => MayContain(type, cancellationToken) && !elements.Has(type, cancellationToken);

    /// <summary>Whether code outside of <paramref name="type"/> may put one into another module: it, or what mentions it, is mentioned in a module's code.</summary>
    private bool MayContain(INamedTypeSymbol type, CancellationToken cancellationToken)
    {
        var own = type.DeclaringSyntaxReferences.Select(reference => reference.GetSyntax(cancellationToken)).ToList();
        var names = new HashSet<string> { type.Name };
        var waiting = members.Value.Where(member => !own.Any(declaration => declaration == member.Owner)).ToList();
        for (var changed = true; changed;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            changed = false;
            foreach (var member in waiting.Where(candidate => candidate.Mentions.Overlaps(names)).ToList())
            {
                if (member.Mentions.Overlaps(Containers) || IsModule(member.Owner, cancellationToken)) return true;
                names.UnionWith(member.Names);
                waiting.Remove(member);
                changed = true;
            }
        }
        return false;
    }

    private bool IsModule(TypeDeclarationSyntax? owner, CancellationToken cancellationToken) =>
        owner is { BaseList: not null } or { Modifiers.Count: > 0 }
        && types.IsModule(compilation.GetSemanticModel(owner.SyntaxTree).GetDeclaredSymbol(owner, cancellationToken));

    private static IEnumerable<Member> MembersOf(SyntaxNode root) =>
        from member in root.DescendantNodes().OfType<MemberDeclarationSyntax>()
        where member is not (BaseTypeDeclarationSyntax or BaseNamespaceDeclarationSyntax)
        select new Member(member.Parent as TypeDeclarationSyntax, NamesOf(member), [.. from token in member.DescendantTokens() where token.IsKind(SyntaxKind.IdentifierToken) select token.ValueText]);

    private static IReadOnlyList<string> NamesOf(MemberDeclarationSyntax member) => member switch
    {
        MethodDeclarationSyntax method => [method.Identifier.ValueText],
        PropertyDeclarationSyntax property => [property.Identifier.ValueText],
        BaseFieldDeclarationSyntax field => [.. field.Declaration.Variables.Select(variable => variable.Identifier.ValueText)],
        _ => [],
    };

    private sealed record Member(TypeDeclarationSyntax? Owner, IReadOnlyList<string> Names, HashSet<string> Mentions);
}
