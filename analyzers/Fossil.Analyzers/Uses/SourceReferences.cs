using Fossil.CodeModel;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Analyzers.Uses;

/// <summary>Where the code of a compilation refers to one of its members. By names first: only files that have the name are looked at.</summary>
internal sealed class SourceReferences(Compilation compilation, CancellationToken cancellationToken)
{
    /// <summary>The operations that refer to a field, a property, a method or a parameter.</summary>
    public IEnumerable<IOperation> To(ISymbol symbol)
    {
        foreach (var tree in compilation.SyntaxTrees)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!FileDeclarations.Of(tree, cancellationToken).Mentions(symbol.Name)) continue;
            var names = tree.GetRoot(cancellationToken).DescendantNodes().OfType<SimpleNameSyntax>().Where(name => name.Identifier.ValueText == symbol.Name);
            SemanticModel? model = null;
            foreach (var name in names)
            {
                model ??= compilation.GetSemanticModel(tree);
                if (Means(model.GetSymbolInfo(name, cancellationToken).Symbol, symbol) && model.GetOperation(Whole(name), cancellationToken) is { } operation) yield return operation;
            }
        }
    }

    /// <summary>The calls of a constructor: <c>new</c>, <c>base(…)</c> and <c>this(…)</c>.</summary>
    public IEnumerable<IOperation> ToConstructor(IMethodSymbol constructor)
    {
        foreach (var tree in compilation.SyntaxTrees)
        {
            cancellationToken.ThrowIfCancellationRequested();
            SemanticModel? model = null;
            foreach (var node in tree.GetRoot(cancellationToken).DescendantNodes())
            {
                if (node is not (BaseObjectCreationExpressionSyntax or ConstructorInitializerSyntax or PrimaryConstructorBaseTypeSyntax)) continue;
                // new(…) does not name the type.
                if (node is ObjectCreationExpressionSyntax creation && !creation.Type.DescendantTokens().Any(token => token.ValueText == constructor.ContainingType.Name)) continue;
                model ??= compilation.GetSemanticModel(tree);
                if (Means(model.GetSymbolInfo(node, cancellationToken).Symbol, constructor) && model.GetOperation(node, cancellationToken) is { } operation) yield return operation;
            }
        }
    }

    /// <summary>The bodies and initializers of a symbol of the compilation, and of those that override or implement it.</summary>
    public IEnumerable<IOperation> Bodies(ISymbol symbol)
    {
        var declared = symbol.IsAbstract || symbol.IsVirtual || symbol.IsOverride
            ? compilation.GetSymbolsWithName(symbol.Name, SymbolFilter.Member, cancellationToken).Where(other => Means(other, symbol))
            : [symbol.OriginalDefinition];
        foreach (var reference in declared.SelectMany(one => one.DeclaringSyntaxReferences))
        {
            var node = reference.GetSyntax(cancellationToken);
            if (!compilation.ContainsSyntaxTree(node.SyntaxTree)) continue;
            var model = compilation.GetSemanticModel(node.SyntaxTree);
            foreach (var body in BodiesOf(node))
            {
                if (ValueFlow.OperationOf(body, model, cancellationToken) is { } operation) yield return operation;
            }
        }
    }

    /// <summary>Whether <paramref name="found"/> is <paramref name="symbol"/>, or a member that stands for it: one overrides or implements the other.</summary>
    private static bool Means(ISymbol? found, ISymbol symbol)
    {
        if (found is null || found.Name != symbol.Name) return false;
        var definition = Definition(found);
        var wanted = Definition(symbol);
        return WellKnownTypes.Same(definition, wanted) || Implements(definition, wanted) || Implements(wanted, definition);
    }

    private static ISymbol Definition(ISymbol symbol)
    {
        var current = symbol is IMethodSymbol { ReducedFrom: { } extension } ? extension : symbol;
        while (current is IMethodSymbol { OverriddenMethod: { } method }) current = method;
        while (current is IPropertySymbol { OverriddenProperty: { } property }) current = property;
        return current.OriginalDefinition;
    }

    private static bool Implements(ISymbol member, ISymbol declared) =>
        declared.ContainingType?.TypeKind == TypeKind.Interface && member.ContainingType is { TypeKind: not TypeKind.Interface } type
        && type.AllInterfaces.Where(one => WellKnownTypes.Same(one.OriginalDefinition, declared.ContainingType))
            .SelectMany(one => one.GetMembers(declared.Name)).Any(one => WellKnownTypes.Same(type.FindImplementationForInterfaceMember(one)?.OriginalDefinition, member));

    /// <summary><c>other.up</c> for <c>up</c>, and the whole call for a method.</summary>
    private static SyntaxNode Whole(SimpleNameSyntax name)
    {
        ExpressionSyntax expression = name;
        if (name.Parent is MemberAccessExpressionSyntax access && access.Name == name) expression = access;
        else if (name.Parent is MemberBindingExpressionSyntax binding) expression = binding;
        return expression.Parent is InvocationExpressionSyntax call && call.Expression == expression ? call : expression;
    }

    private static IEnumerable<SyntaxNode> BodiesOf(SyntaxNode declaration) => declaration switch
    {
        BaseMethodDeclarationSyntax or LocalFunctionStatementSyntax or AccessorDeclarationSyntax => [declaration],
        VariableDeclaratorSyntax { Initializer: { } initializer } => [initializer.Value],
        PropertyDeclarationSyntax property => [
            .. property.Initializer is { } initializer ? new SyntaxNode[] { initializer.Value } : [],
            .. property.ExpressionBody is { } body ? new SyntaxNode[] { body } : [],
            .. property.AccessorList?.Accessors.Where(accessor => accessor.IsKind(SyntaxKind.GetAccessorDeclaration) && (accessor.Body is not null || accessor.ExpressionBody is not null)) ?? []],
        _ => [],
    };
}
