using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>Small steps between an expression and the place its value comes from or goes to.</summary>
public static class ValueFlow
{
    private const int MaximumDepth = 16;

    /// <summary>The expression behind implicit conversions and <c>?.</c>.</summary>
    public static IOperation Receiver(IOperation instance)
    {
        var value = instance;
        while (true)
        {
            switch (value)
            {
                case IConversionOperation { IsImplicit: true } conversion:
                    value = conversion.Operand;
                    break;
                case IConditionalAccessInstanceOperation:
                    if (AccessedOperation(value) is not { } accessed) return value;
                    value = accessed;
                    break;
                default:
                    return value;
            }
        }
    }

    /// <summary>The expression behind conversions.</summary>
    public static IOperation Unconverted(IOperation value) => value is IConversionOperation conversion ? Unconverted(conversion.Operand) : value;

    /// <summary>The target member whose value (or an element of whose value) <paramref name="value"/> is for certain; null where it may be another.</summary>
    public static ISymbol? TargetMember(IOperation? value, TargetIndex index, int depth = 0)
    {
        if (value is null || depth > MaximumDepth) return null;
        return value switch
        {
            IFieldReferenceOperation field => index.IsTarget(field.Field) ? field.Field : null,
            IPropertyReferenceOperation property when index.IsTarget(property.Property) => property.Property,
            // experts[i]: the indexer of a list.
            IPropertyReferenceOperation { Property.IsIndexer: true } element => TargetMember(element.Instance, index, depth + 1),
            IArrayElementReferenceOperation element => TargetMember(element.ArrayReference, index, depth + 1),
            IConversionOperation conversion => TargetMember(conversion.Operand, index, depth + 1),
            IConditionalAccessInstanceOperation => TargetMember(AccessedOperation(value), index, depth + 1),
            IConditionalAccessOperation access => TargetMember(access.WhenNotNull, index, depth + 1),
            IConditionalOperation { WhenFalse: { } whenFalse } conditional => TargetMember(conditional.WhenTrue, index, depth + 1) ?? TargetMember(whenFalse, index, depth + 1),
            ICoalesceOperation coalesce => TargetMember(coalesce.Value, index, depth + 1) ?? TargetMember(coalesce.WhenNull, index, depth + 1),
            IParenthesizedOperation parenthesized => TargetMember(parenthesized.Operand, index, depth + 1),
            ILocalReferenceOperation local => TargetMember(Initializer(local), index, depth + 1),
            _ => null,
        };
    }

    /// <summary>Every reference to a local in the body that <paramref name="place"/> is in.</summary>
    public static IEnumerable<ILocalReferenceOperation> UsesOf(ILocalSymbol local, IOperation place)
    {
        var root = place;
        while (root.Parent is { } parent) root = parent;
        return root.Descendants().OfType<ILocalReferenceOperation>().Where(other => WellKnownTypes.Same(other.Local, local));
    }

    /// <summary>The expression before the <c>?.</c> that <paramref name="instance"/> stands behind.</summary>
    public static IOperation? AccessedOperation(IOperation instance)
    {
        var child = instance;
        for (var current = instance.Parent; current is not null; child = current, current = current.Parent)
        {
            if (current is IConditionalAccessOperation access && !ReferenceEquals(access.Operation, child)) return access.Operation;
        }
        return null;
    }

    /// <summary>What a local is declared with: <c>var p = useA ? a : b</c>, or the collection that a foreach runs over.</summary>
    public static IOperation? Initializer(ILocalReferenceOperation reference)
    {
        if (reference.SemanticModel is not { } model || reference.Local.DeclaringSyntaxReferences is not [var declaration, ..]) return null;
        var syntax = declaration.GetSyntax();
        if (syntax.SyntaxTree != model.SyntaxTree) return null;
        if (syntax is ForEachStatementSyntax loop) return OperationOf(loop.Expression, model);
        return syntax is VariableDeclaratorSyntax { Initializer: { } initializer } ? OperationOf(initializer.Value, model) : null;
    }

    /// <summary>The operation of an expression; <c>(up)!</c> has none of its own.</summary>
    public static IOperation? OperationOf(SyntaxNode expression, SemanticModel model, CancellationToken cancellationToken = default) => expression switch
    {
        PostfixUnaryExpressionSyntax suppressed when suppressed.IsKind(SyntaxKind.SuppressNullableWarningExpression) => OperationOf(suppressed.Operand, model, cancellationToken),
        ParenthesizedExpressionSyntax parenthesized => OperationOf(parenthesized.Expression, model, cancellationToken),
        _ => model.GetOperation(expression, cancellationToken),
    };
}
