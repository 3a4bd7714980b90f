using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Declarations;

/// <summary>
/// What one file declares, read from its syntax alone and once per version of the file. Bodies and initializers that are no constants are left out:
/// whatever is typed there, no annotated class changes.
/// </summary>
internal sealed class FileDeclarations
{
    private static readonly ConditionalWeakTable<SyntaxTree, FileDeclarations> Cache = new();

    private FileDeclarations(ulong hash, ImmutableArray<AttributedType> types, ImmutableArray<string> aliases)
    {
        Hash = hash;
        Types = types;
        Aliases = aliases;
    }

    /// <summary>A hash of every token outside of bodies.</summary>
    public ulong Hash { get; }

    /// <summary>The types that are declared with attributes.</summary>
    public ImmutableArray<AttributedType> Types { get; }

    /// <summary>Other names that a using directive gives to <c>[FossilAdapt]</c>.</summary>
    public ImmutableArray<string> Aliases { get; }

    /// <summary>The declarations of <paramref name="tree"/>.</summary>
    public static FileDeclarations Of(SyntaxTree tree, CancellationToken cancellationToken)
    {
        if (Cache.TryGetValue(tree, out var known)) return known;
        var reader = new Reader(cancellationToken);
        reader.Visit(tree.GetRoot(cancellationToken));
        // Another thread may have been first; both read the same.
        return Cache.GetValue(tree, _ => reader.Result);
    }

    /// <summary>Whether an attribute written <paramref name="name"/> can be <c>[FossilAdapt]</c> without an alias.</summary>
    public static bool IsAttributeName(string name) => name is "FossilAdapt" or "FossilAdaptAttribute";

    /// <summary>A type with attributes.</summary>
    /// <param name="Span">Where it stands.</param>
    /// <param name="AttributeNames">The last identifier of each attribute's name.</param>
    internal readonly record struct AttributedType(TextSpan Span, ImmutableArray<string> AttributeNames);

    private sealed class Reader(CancellationToken cancellationToken) : CSharpSyntaxWalker(SyntaxWalkerDepth.Token)
    {
        // FNV-1a.
        private const ulong OffsetBasis = 14695981039346656037;
        private const ulong Prime = 1099511628211;

        private readonly ImmutableArray<AttributedType>.Builder types = ImmutableArray.CreateBuilder<AttributedType>();
        private readonly ImmutableArray<string>.Builder aliases = ImmutableArray.CreateBuilder<string>();
        private ulong hash = OffsetBasis;

        public FileDeclarations Result => new(hash, types.ToImmutable(), aliases.ToImmutable());

        public override void VisitToken(SyntaxToken token)
        {
            foreach (var character in token.Text) hash = unchecked((hash ^ character) * Prime);
            // Between tokens, so that moving a space changes the hash.
            hash = unchecked((hash ^ char.MaxValue) * Prime);
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

        public override void VisitUsingDirective(UsingDirectiveSyntax node)
        {
            if (node is { Alias: { } alias, NamespaceOrType: NameSyntax name } && IsAttributeName(LastIdentifier(name))) aliases.Add(alias.Name.Identifier.ValueText);
            base.VisitUsingDirective(node);
        }

        public override void VisitClassDeclaration(ClassDeclarationSyntax node)
        {
            AddType(node);
            base.VisitClassDeclaration(node);
        }

        public override void VisitRecordDeclaration(RecordDeclarationSyntax node)
        {
            AddType(node);
            base.VisitRecordDeclaration(node);
        }

        private void AddType(TypeDeclarationSyntax node)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (node.AttributeLists.Count == 0) return;
            var names = node.AttributeLists.SelectMany(list => list.Attributes).Select(attribute => LastIdentifier(attribute.Name)).ToImmutableArray();
            types.Add(new AttributedType(node.Span, names));
        }

        private static string LastIdentifier(NameSyntax name) => name switch
        {
            QualifiedNameSyntax qualified => qualified.Right.Identifier.ValueText,
            AliasQualifiedNameSyntax qualified => qualified.Name.Identifier.ValueText,
            SimpleNameSyntax simple => simple.Identifier.ValueText,
            _ => "",
        };
    }
}
