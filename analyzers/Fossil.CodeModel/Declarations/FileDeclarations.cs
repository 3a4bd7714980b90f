using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.CodeModel.Declarations;

/// <summary>
/// What one file declares, read from its syntax alone and once per version of the file. Bodies and initializers that are no constants are left out:
/// whatever is typed there, nothing in another file changes its meaning.
/// </summary>
public sealed class FileDeclarations
{
    private static readonly ConditionalWeakTable<SyntaxTree, FileDeclarations> Cache = new();

    private FileDeclarations(SyntaxNode root, CancellationToken cancellationToken)
    {
        var reader = new Reader(cancellationToken);
        reader.Visit(root);
        Hash = reader.Hash;
        GlobalUsings = reader.GlobalUsings;
        Types = reader.Types.ToImmutable();
        Aliases = reader.Aliases.ToImmutable();
        AssemblyAttributes = reader.AssemblyAttributes.ToImmutable();
        Namespaces = [.. reader.Namespaces];
        Declared = [.. reader.Declared];
        Mentioned = [.. reader.Mentioned];
        MentionedGlobally = [.. reader.MentionedGlobally];

        var names = new HashSet<ulong>();
        foreach (var token in root.DescendantTokens())
        {
            if (!token.IsKind(SyntaxKind.IdentifierToken)) continue;
            names.Add(Fingerprint.Of(token.ValueText));
            NamesRunMethod |= token.ValueText is WellKnownNames.ForwardMethod or WellKnownNames.CallMethod;
        }
        MentionedAnywhere = [.. names];
    }

    /// <summary>A hash of every token outside of bodies.</summary>
    public ulong Hash { get; }

    /// <summary>A hash of the using directives that hold for every file; 0 where there is none.</summary>
    public ulong GlobalUsings { get; }

    /// <summary>The types that are declared with attributes or bases.</summary>
    public ImmutableArray<DeclaredType> Types { get; }

    /// <summary>The names that using directives give to something else.</summary>
    public ImmutableArray<Alias> Aliases { get; }

    /// <summary>The last identifier of the name of each attribute of the assembly.</summary>
    public ImmutableArray<string> AssemblyAttributes { get; }

    /// <summary>Whether a call of <c>forward</c> or <c>call</c> may stand in the file.</summary>
    public bool NamesRunMethod { get; }

    /// <summary>The namespaces that have something here.</summary>
    internal ImmutableArray<ulong> Namespaces { get; }

    /// <summary>The names by which other files reach what is declared here: types, and the members of static classes.</summary>
    internal ImmutableArray<ulong> Declared { get; }

    /// <summary>The names in the declarations.</summary>
    internal ImmutableArray<ulong> Mentioned { get; }

    /// <summary>The names in the using directives that hold for every file.</summary>
    internal ImmutableArray<ulong> MentionedGlobally { get; }

    /// <summary>The names in declarations and bodies.</summary>
    internal ImmutableArray<ulong> MentionedAnywhere { get; }

    /// <summary>Whether <paramref name="name"/> stands anywhere in the file.</summary>
    public bool Mentions(string name) => MentionedAnywhere.Contains(Fingerprint.Of(name));

    /// <summary>The declarations of <paramref name="tree"/>.</summary>
    public static FileDeclarations Of(SyntaxTree tree, CancellationToken cancellationToken)
    {
        if (Cache.TryGetValue(tree, out var known)) return known;
        var read = new FileDeclarations(tree.GetRoot(cancellationToken), cancellationToken);
        // Another thread may have been first; both read the same.
        return Cache.GetValue(tree, _ => read);
    }

    /// <summary>A type with attributes or bases.</summary>
    /// <param name="Span">Where it stands.</param>
    /// <param name="Attributes">The last identifier of each attribute's name.</param>
    /// <param name="Bases">The last identifier of each base's name.</param>
    public readonly record struct DeclaredType(TextSpan Span, ImmutableArray<string> Attributes, ImmutableArray<string> Bases)
    {
        /// <summary>The type in a compilation that has its file.</summary>
        public INamedTypeSymbol? In(Compilation compilation, SyntaxTree tree, CancellationToken cancellationToken)
        {
            var span = Span;
            var node = tree.GetRoot(cancellationToken).FindNode(span).FirstAncestorOrSelf<TypeDeclarationSyntax>(ancestor => ancestor.Span == span);
            return node is null ? null : compilation.GetSemanticModel(tree).GetDeclaredSymbol(node, cancellationToken);
        }
    }

    /// <summary>A name for something else.</summary>
    /// <param name="Name">The name.</param>
    /// <param name="Target">The last identifier of what it stands for; empty for a type that is no name.</param>
    public readonly record struct Alias(string Name, string Target);

    private sealed class Reader(CancellationToken cancellationToken) : CSharpSyntaxWalker(SyntaxWalkerDepth.Token)
    {
        private bool isGlobal;

        public ImmutableArray<DeclaredType>.Builder Types { get; } = ImmutableArray.CreateBuilder<DeclaredType>();

        public ImmutableArray<Alias>.Builder Aliases { get; } = ImmutableArray.CreateBuilder<Alias>();

        public ImmutableArray<string>.Builder AssemblyAttributes { get; } = ImmutableArray.CreateBuilder<string>();

        public HashSet<ulong> Namespaces { get; } = [];

        public HashSet<ulong> Declared { get; } = [];

        public HashSet<ulong> Mentioned { get; } = [];

        public HashSet<ulong> MentionedGlobally { get; } = [];

        public ulong Hash { get; private set; } = Fingerprint.Empty;

        public ulong GlobalUsings { get; private set; }

        public override void VisitToken(SyntaxToken token)
        {
            Hash = Fingerprint.Then(Hash, token.Text);
            if (isGlobal) GlobalUsings = Fingerprint.Then(GlobalUsings, token.Text);
            if (!token.IsKind(SyntaxKind.IdentifierToken)) return;
            var name = Fingerprint.Of(token.ValueText);
            Mentioned.Add(name);
            if (isGlobal) MentionedGlobally.Add(name);
        }

        // That there is a body counts, what it says does not.
        public override void VisitBlock(BlockSyntax node) => VisitToken(node.OpenBraceToken);

        public override void VisitArrowExpressionClause(ArrowExpressionClauseSyntax node) => VisitToken(node.ArrowToken);

        public override void VisitConstructorInitializer(ConstructorInitializerSyntax node) => VisitToken(node.ColonToken);

        public override void VisitGlobalStatement(GlobalStatementSyntax node)
        {
        }

        public override void VisitEqualsValueClause(EqualsValueClauseSyntax node)
        {
            var isConstant = node.Parent is EnumMemberDeclarationSyntax or ParameterSyntax
                || (node.Parent?.Parent?.Parent is FieldDeclarationSyntax field && field.Modifiers.Any(SyntaxKind.ConstKeyword));
            if (isConstant) base.VisitEqualsValueClause(node);
        }

        public override void VisitCompilationUnit(CompilationUnitSyntax node)
        {
            AssemblyAttributes.AddRange(Names(node.AttributeLists));
            base.VisitCompilationUnit(node);
        }

        public override void VisitUsingDirective(UsingDirectiveSyntax node)
        {
            if (node.Alias is { } alias) Aliases.Add(new Alias(alias.Name.Identifier.ValueText, node.NamespaceOrType is NameSyntax name ? LastIdentifier(name) : ""));
            isGlobal = node.GlobalKeyword.IsKind(SyntaxKind.GlobalKeyword);
            base.VisitUsingDirective(node);
            isGlobal = false;
        }

        public override void Visit(SyntaxNode? node)
        {
            switch (node)
            {
                case BaseNamespaceDeclarationSyntax space: Namespaces.Add(Fingerprint.Of(space.Name.ToString())); break;
                case DelegateDeclarationSyntax made: Declare(made.Identifier); break;
                case EnumDeclarationSyntax made: Declare(made.Identifier); break;
                case TypeDeclarationSyntax type and not ExtensionBlockDeclarationSyntax: AddType(type); break;
            }
            base.Visit(node);
        }

        private void Declare(SyntaxToken name) => Declared.Add(Fingerprint.Of(name.ValueText));

        private void AddType(TypeDeclarationSyntax node)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Declare(node.Identifier);
            if (node.Modifiers.Any(SyntaxKind.StaticKeyword)) DeclareMembers(node);
            if (node.AttributeLists.Count == 0 && node.BaseList is null) return;
            Types.Add(new DeclaredType(
                node.Span,
                [.. Names(node.AttributeLists)],
                node.BaseList is { } bases ? [.. bases.Types.Select(type => type.Type).OfType<NameSyntax>().Select(LastIdentifier)] : []));
        }

        /// <summary>Extension methods are found without the name of their class, and so is what <c>using static</c> brings.</summary>
        private void DeclareMembers(TypeDeclarationSyntax type)
        {
            foreach (var member in type.DescendantNodes(node => node is TypeDeclarationSyntax))
            {
                if (member is MethodDeclarationSyntax method) Declare(method.Identifier);
                else if (member is PropertyDeclarationSyntax property) Declare(property.Identifier);
            }
        }

        private static IEnumerable<string> Names(SyntaxList<AttributeListSyntax> lists) => lists.SelectMany(list => list.Attributes).Select(attribute => LastIdentifier(attribute.Name));

        private static string LastIdentifier(NameSyntax name) => name switch
        {
            QualifiedNameSyntax qualified => qualified.Right.Identifier.ValueText,
            AliasQualifiedNameSyntax qualified => qualified.Name.Identifier.ValueText,
            SimpleNameSyntax simple => simple.Identifier.ValueText,
            _ => "",
        };
    }
}
