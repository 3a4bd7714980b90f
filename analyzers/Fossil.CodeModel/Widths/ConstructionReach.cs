using System.Runtime.CompilerServices;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>
/// Which types may lead to the construction of an annotated class: those that mention its name, those that mention theirs, and so on. By
/// names alone, so that it costs little: a file's names are collected once, however many compilations it lives through.
/// </summary>
public sealed class ConstructionReach
{
    private static readonly ConditionalWeakTable<SyntaxTree, FileNames> Files = new();
    private static readonly ConditionalWeakTable<Compilation, ConstructionReach> Reaches = new();

    private readonly HashSet<(SyntaxTree Tree, int Start)> reached = [];

    private ConstructionReach(Compilation compilation, CancellationToken cancellationToken)
    {
        var waiting = new List<TypeNames>();
        var isEverything = false;
        foreach (var tree in compilation.SyntaxTrees)
        {
            var file = Files.GetValue(tree, parsed => new FileNames(parsed.GetRoot(cancellationToken)));
            waiting.AddRange(file.Types);
            isEverything |= file.HasGlobalAlias;
        }
        // Each round looks for the names that the one before has added.
        HashSet<ulong> names = [Fingerprint.Of("FossilAdapt"), Fingerprint.Of("FossilAdaptAttribute")];
        while (names.Count > 0)
        {
            var added = new HashSet<ulong>();
            var still = new List<TypeNames>();
            foreach (var type in waiting)
            {
                if (!isEverything && !type.Mentions(names)) { still.Add(type); continue; }
                reached.Add((type.Tree, type.Start));
                added.UnionWith(type.Declared);
            }
            waiting = still;
            names = added;
        }
    }

    /// <summary>The reach in <paramref name="compilation"/>, shared by all that ask.</summary>
    public static ConstructionReach Of(Compilation compilation, CancellationToken cancellationToken) =>
        Reaches.GetValue(compilation, created => new ConstructionReach(created, cancellationToken));

    /// <summary>Whether the type around <paramref name="node"/> may construct an annotated class.</summary>
    public bool Contains(SyntaxNode node)
    {
        var top = node.AncestorsAndSelf().OfType<MemberDeclarationSyntax>()
            .LastOrDefault(member => member is not BaseNamespaceDeclarationSyntax);
        return top is null || reached.Contains((node.SyntaxTree, FileNames.StartOf(top)));
    }

    /// <summary>The names of one file, by type at its top level.</summary>
    private sealed class FileNames
    {
        public FileNames(SyntaxNode root)
        {
            var usings = new HashSet<ulong>();
            foreach (var directive in root.DescendantNodes(node => node is CompilationUnitSyntax or BaseNamespaceDeclarationSyntax).OfType<UsingDirectiveSyntax>())
            {
                if (directive.Alias is null && directive.StaticKeyword.IsKind(SyntaxKind.None)) continue;
                HasGlobalAlias |= directive.GlobalKeyword.IsKind(SyntaxKind.GlobalKeyword) && !IsOfLibrary(directive);
                Collect(directive, usings);
            }
            var byStart = new Dictionary<int, TypeNames>();
            Visit(root, root, usings, byStart);
            Types = [.. byStart.Values];
        }

        public IReadOnlyList<TypeNames> Types { get; }

        /// <summary>Whether the file gives names to every other, which could hide a mention.</summary>
        public bool HasGlobalAlias { get; }

        /// <summary>Global statements count as one type.</summary>
        public static int StartOf(MemberDeclarationSyntax member) => member is GlobalStatementSyntax ? -1 : member.SpanStart;

        private static bool IsOfLibrary(UsingDirectiveSyntax directive) =>
            directive.NamespaceOrType.ToString() is var name && (name.Contains("TorchSharp") || name.StartsWith("System", StringComparison.Ordinal));

        private static void Visit(SyntaxNode node, SyntaxNode root, HashSet<ulong> usings, Dictionary<int, TypeNames> types)
        {
            foreach (var child in node.ChildNodes().OfType<MemberDeclarationSyntax>())
            {
                if (child is BaseNamespaceDeclarationSyntax) { Visit(child, root, usings, types); continue; }
                var start = StartOf(child);
                if (!types.TryGetValue(start, out var names))
                {
                    names = new TypeNames(root.SyntaxTree, start);
                    names.Used.UnionWith(usings);
                    types.Add(start, names);
                }
                Collect(child, names.Used);
                foreach (var type in child.DescendantNodesAndSelf(inner => inner is MemberDeclarationSyntax).OfType<BaseTypeDeclarationSyntax>()) names.Declared.Add(Fingerprint.Of(type.Identifier.ValueText));
            }
        }

        private static void Collect(SyntaxNode node, HashSet<ulong> names)
        {
            foreach (var token in node.DescendantTokens())
            {
                if (token.IsKind(SyntaxKind.IdentifierToken)) names.Add(Fingerprint.Of(token.ValueText));
            }
        }
    }

    private sealed class TypeNames(SyntaxTree tree, int start)
    {
        public SyntaxTree Tree { get; } = tree;

        public int Start { get; } = start;

        public HashSet<ulong> Used { get; } = [];

        public HashSet<ulong> Declared { get; } = [];

        public bool Mentions(HashSet<ulong> names) => Used.Count < names.Count ? names.Overlaps(Used) : Used.Overlaps(names);
    }
}
