using System.Runtime.CompilerServices;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>
/// Which members may lead to the construction of an annotated class, or give a target another layer: those that use its name, those that use theirs, and
/// so on; what merely has the class as the type of a field or parameter does not construct it. By names alone, so that it costs little, and so that most
/// bodies of a project need not be interpreted: a file's names are collected once, however many compilations it lives through.
/// </summary>
public sealed class ConstructionReach
{
    private static readonly ConditionalWeakTable<SyntaxTree, IReadOnlyList<TypeNames>> Files = new();
    private static readonly ConditionalWeakTable<Compilation, ConstructionReach> Reaches = new();

    private readonly HashSet<(SyntaxTree Tree, int Start)> reached = [];

    private ConstructionReach(Compilation compilation, CancellationToken cancellationToken)
    {
        var waiting = new List<Waiting>();
        foreach (var tree in compilation.SyntaxTrees)
        {
            var types = Files.GetValue(tree, parsed => NamesOfMembers.Of(parsed.GetRoot(cancellationToken)));
            waiting.AddRange(types.Select(type => new Waiting(tree, type)));
        }
        // Each round looks for the names that the one before has added.
        HashSet<ulong> knownNames = [], knownTyped = [];
        HashSet<ulong> names = [Fingerprint.Of("FossilAdapt"), Fingerprint.Of("FossilAdaptAttribute")];
        HashSet<ulong> targets = [];
        // What has a type that is constructed: new(…) may be given to it.
        HashSet<ulong> typed = [];
        while (names.Count > 0 || targets.Count > 0 || typed.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            knownNames.UnionWith(names);
            knownTyped.UnionWith(typed);
            HashSet<ulong> nextNames = [], nextTargets = [], nextTyped = [];
            foreach (var type in waiting)
            {
                if (!Overlap(type.Names.Used, names) && !Overlap(type.Names.Types, names) && !Overlap(type.Names.Used, typed) && !Overlap(type.Names.Assigned, targets)) continue;
                if (Overlap(type.Names.Attributes, names)) nextTargets.UnionWith(type.Names.Targets);
                type.Members.RemoveAll(member =>
                {
                    var hasType = Overlap(member.Types, names);
                    if (hasType) nextTyped.UnionWith(member.Declared);
                    var isReached = Overlap(member.Used, names) || Overlap(member.Assigned, targets) || (member.CreatesUnnamed && (hasType || Overlap(member.Used, typed)));
                    if (!isReached) return false;
                    reached.Add((type.Tree, member.Start));
                    if (member.IsConstruction) reached.Add((type.Tree, type.Names.Start));
                    nextNames.UnionWith(member.Declared);
                    return true;
                });
            }
            nextNames.ExceptWith(knownNames);
            nextTyped.ExceptWith(knownTyped);
            (names, targets, typed) = (nextNames, nextTargets, nextTyped);
        }
    }

    /// <summary>The reach in <paramref name="compilation"/>, shared by all that ask.</summary>
    public static ConstructionReach Of(Compilation compilation, CancellationToken cancellationToken) =>
        Reaches.GetValue(compilation, created => new ConstructionReach(created, cancellationToken));

    /// <summary>Whether the member around <paramref name="node"/> may construct an annotated class or assign a target.</summary>
    public bool Contains(SyntaxNode node)
    {
        var member = node.FirstAncestorOrSelf<MemberDeclarationSyntax>();
        return member is null or EnumMemberDeclarationSyntax or BaseNamespaceDeclarationSyntax || reached.Contains((node.SyntaxTree, NamesOfMembers.StartOf(member)));
    }

    /// <summary>Whether the construction of the type that <paramref name="declaration"/> declares may construct an annotated class; so may that of an annotated class itself.</summary>
    public bool ContainsConstruction(SyntaxNode declaration) => reached.Contains((declaration.SyntaxTree, declaration.SpanStart));

    private static bool Overlap(HashSet<ulong>? left, HashSet<ulong> right) =>
        left is { Count: > 0 } && right.Count > 0 && (left.Count < right.Count ? right.Overlaps(left) : left.Overlaps(right));

    /// <summary>A type with the members that are not reached yet.</summary>
    private sealed class Waiting(SyntaxTree tree, TypeNames names)
    {
        public SyntaxTree Tree { get; } = tree;

        public TypeNames Names { get; } = names;

        public List<MemberNames> Members { get; } = [.. names.Members];
    }
}
