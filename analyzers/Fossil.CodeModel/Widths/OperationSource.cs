using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel.Widths;

/// <summary>The bodies and initialisers of one compilation as operations, bound once each.</summary>
internal sealed class OperationSource(Compilation compilation)
{
    private readonly ConcurrentDictionary<SyntaxTree, SemanticModel> models = new();
    private readonly ConcurrentDictionary<SyntaxNode, IOperation?> operations = new();

    // The interpreter asks the same of few symbols very often.
    private readonly ConcurrentDictionary<IMethodSymbol, IOperation?> bodies = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<ISymbol, IOperation?> initializers = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<IMethodSymbol, bool> keepsVariables = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<IPropertySymbol, bool> automatic = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<ISymbol, bool> setByInitializerAlone = new(SymbolEqualityComparer.Default);

    private HashSet<string>? writtenNames;

    /// <summary>Whether the compilation writes to an object through a member of that name.</summary>
    public bool IsWrittenThrough(string name, CancellationToken cancellationToken) =>
        (writtenNames ??= WrittenNames.Of(compilation, cancellationToken)).Contains(name);

    /// <summary>The operation of <paramref name="syntax"/>; null where the compiler has none.</summary>
    public IOperation? Of(SyntaxNode? syntax, CancellationToken cancellationToken)
    {
        if (syntax is null || !compilation.ContainsSyntaxTree(syntax.SyntaxTree)) return null;
        if (operations.TryGetValue(syntax, out var known)) return known;
        var model = models.GetOrAdd(syntax.SyntaxTree, tree => compilation.GetSemanticModel(tree));
        return operations.GetOrAdd(syntax, model.GetOperation(syntax, cancellationToken));
    }

    /// <summary>The body of a method or accessor; null where it has none in source.</summary>
    public IOperation? BodyOf(IMethodSymbol method, CancellationToken cancellationToken)
    {
        var definition = (method.PartialImplementationPart ?? method).OriginalDefinition;
        return bodies.TryGetValue(definition, out var known) ? known : bodies.GetOrAdd(definition, ReadBody(definition, cancellationToken));
    }

    private IOperation? ReadBody(IMethodSymbol definition, CancellationToken cancellationToken)
    {
        foreach (var reference in definition.DeclaringSyntaxReferences)
        {
            var syntax = reference.GetSyntax(cancellationToken);
            if (syntax is TypeDeclarationSyntax) continue;
            if (Of(syntax, cancellationToken) is { } operation) return operation;
        }
        return null;
    }

    /// <summary>Whether code that a method makes, as lambdas and references, may use its variables after it has returned. With a constructor run the initialisers of its type.</summary>
    public bool KeepsVariables(IMethodSymbol method, CancellationToken cancellationToken) => keepsVariables.GetOrAdd(method, one =>
    {
        var declared = one.MethodKind == MethodKind.Constructor ? one.ContainingType.DeclaringSyntaxReferences : one.DeclaringSyntaxReferences;
        return declared.Any(reference => reference.GetSyntax(cancellationToken).DescendantNodes()
            .Any(node => node is AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax or RefExpressionSyntax or QueryExpressionSyntax));
    });

    /// <summary>The call of the base constructor in the header of a class with a primary constructor.</summary>
    public IOperation? PrimaryBaseCall(INamedTypeSymbol type, CancellationToken cancellationToken) =>
        type.DeclaringSyntaxReferences
            .Select(reference => (reference.GetSyntax(cancellationToken) as TypeDeclarationSyntax)?.BaseList?.Types.OfType<PrimaryConstructorBaseTypeSyntax>().FirstOrDefault())
            .Select(syntax => Of(syntax, cancellationToken))
            .FirstOrDefault(operation => operation is not null);

    /// <summary>The initialiser of a field or automatic property.</summary>
    public IOperation? InitializerOf(ISymbol member, CancellationToken cancellationToken) =>
        initializers.TryGetValue(member, out var known) ? known : initializers.GetOrAdd(member, ReadInitializer(member, cancellationToken));

    private IOperation? ReadInitializer(ISymbol member, CancellationToken cancellationToken)
    {
        foreach (var reference in member.DeclaringSyntaxReferences)
        {
            var initializer = reference.GetSyntax(cancellationToken) switch
            {
                VariableDeclaratorSyntax variable => variable.Initializer,
                PropertyDeclarationSyntax property => property.Initializer,
                _ => null,
            };
            if (Of(initializer, cancellationToken) is { } operation) return operation;
        }
        return null;
    }

    /// <summary>Whether a member cannot be written after construction, and no constructor writes it either.</summary>
    public bool IsSetByInitializerAlone(ISymbol member, CancellationToken cancellationToken) =>
        setByInitializerAlone.GetOrAdd(member, one => ReadSetByInitializerAlone(one, cancellationToken));

    private static bool ReadSetByInitializerAlone(ISymbol member, CancellationToken cancellationToken)
    {
        var isReadOnly = member is IFieldSymbol { IsReadOnly: true } or IPropertySymbol { SetMethod: null, IsVirtual: false, IsOverride: false };
        return isReadOnly && !member.ContainingType.InstanceConstructors.Any(constructor => constructor.DeclaringSyntaxReferences
            .Any(reference => WrittenNames.Targets(reference.GetSyntax(cancellationToken)).Contains(member.Name)));
    }

    /// <summary>Whether a property stores its value itself, so that reading gives what was last written.</summary>
    public bool IsAutomatic(IPropertySymbol property, CancellationToken cancellationToken) => automatic.GetOrAdd(property.OriginalDefinition, one => ReadIsAutomatic(one, cancellationToken));

    private static bool ReadIsAutomatic(IPropertySymbol property, CancellationToken cancellationToken)
    {
        if (property.IsIndexer || property.IsAbstract) return false;
        var declared = property.OriginalDefinition.DeclaringSyntaxReferences;
        // The compiler marks the accessors that it writes, in other assemblies too.
        if (declared.IsEmpty) return property.GetMethod?.GetAttributes().Any(attribute => attribute.AttributeClass is { Name: "CompilerGeneratedAttribute" }) == true;
        return declared.All(reference => reference.GetSyntax(cancellationToken) switch
        {
            PropertyDeclarationSyntax { ExpressionBody: null, AccessorList: { } accessors } => accessors.Accessors.All(accessor => accessor.Body is null && accessor.ExpressionBody is null),
            ParameterSyntax => true,
            AnonymousObjectMemberDeclaratorSyntax => true,
            _ => false,
        });
    }
}
