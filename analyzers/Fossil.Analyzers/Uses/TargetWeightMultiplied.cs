using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL041: a product with the weight of a target, which leaves its adapter out.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class TargetWeightMultiplied : ProjectRule
{
    private const int MaximumDepth = 16;

    private static readonly HashSet<string> Products =
        ["linear", "matmul", "mm", "mv", "bmm", "addmm", "addmv", "addbmm", "baddbmm", "einsum", "tensordot", "inner", "multi_dot"];

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        if (TargetIndex.Of(context.Compilation, context.CancellationToken) is not { IsEmpty: false } index) return;
        context.RegisterOperationAction(operation => Analyze(operation, (IInvocationOperation)operation.Operation, index), OperationKind.Invocation);
    }

    private static void Analyze(OperationAnalysisContext context, IInvocationOperation product, TargetIndex index)
    {
        if (!IsProduct(product.TargetMethod)) return;
        var layers = Operands(product, index.Types).Select(operand => LayerOf(operand, index.Types)).ToList();
        // Weights with each other are a measure of the weights, such as their orthogonality.
        if (layers.TrueForAll(layer => layer is not null)) return;
        foreach (var layer in layers)
        {
            if (layer is null || !index.CouldHoldTarget(layer.Type) || IsEmbedding(layer.Type, index.Types)) continue;
            if ((ValueFlow.TargetMember(layer, index) ?? TargetOrigins.Find(layer, index, withNamed: true, context.CancellationToken)) is not { } target) continue;
            context.ReportDiagnostic(Diagnostic.Create(Descriptor, product.Syntax.GetLocation(), Properties(product), target.Name));
            return;
        }
    }

    /// <summary>The products of TorchSharp, and that of a weight of any form.</summary>
    private static bool IsProduct(IMethodSymbol method) => method.ContainingAssembly?.Name switch
    {
        WellKnownNames.TorchSharpAssembly => Products.Contains(method.Name),
        WellKnownNames.RuntimeAssembly => method is { Name: "Apply" or "Product", ContainingType.Name: "LinearWeight" },
        _ => false,
    };

    /// <summary>What is multiplied. A bias is added.</summary>
    private static IEnumerable<IOperation> Operands(IInvocationOperation product, WellKnownTypes types)
    {
        var arguments = product.Arguments.Where(argument => argument.Parameter?.Name != "bias").Select(argument => argument.Value)
            .SelectMany(value => value switch
            {
                IArrayCreationOperation { Initializer: { } elements } => elements.ElementValues,
                ICollectionExpressionOperation collection => collection.Elements,
                _ => [value],
            });
        return (product.Instance is { } instance ? arguments.Prepend(instance) : arguments)
            .Where(value => types.IsTensor(value.Type) || WellKnownNames.RuntimeAssembly == value.Type?.ContainingAssembly?.Name);
    }

    /// <summary>The layer whose weight a tensor is a form of; null where it is of none, or where <c>detach</c> says that the base alone is meant.</summary>
    private static IOperation? LayerOf(IOperation? value, WellKnownTypes types, int depth = 0) => depth > MaximumDepth ? null : value switch
    {
        IConversionOperation conversion => LayerOf(conversion.Operand, types, depth + 1),
        IParenthesizedOperation parenthesized => LayerOf(parenthesized.Operand, types, depth + 1),
        ICoalesceOperation coalesce => LayerOf(coalesce.Value, types, depth + 1),
        ILocalReferenceOperation local => LayerOf(ValueFlow.Initializer(local), types, depth + 1),
        IBinaryOperation sum => LayerOf(sum.LeftOperand, types, depth + 1) ?? LayerOf(sum.RightOperand, types, depth + 1),
        IMemberReferenceOperation { Member.Name: "weight" or "Weight", Instance: { } layer } when types.IsModule(ValueFlow.Receiver(layer).Type) => Named(layer),
        IInvocationOperation { TargetMethod.Name: "get_parameter" or "get_buffer", Instance: { } layer, Arguments: [{ Value.ConstantValue: { HasValue: true, Value: "weight" } }] } => Named(layer),
        IPropertyReferenceOperation { Instance: { } tensor } when types.IsTensor(tensor.Type) => LayerOf(tensor, types, depth + 1),
        IInvocationOperation { TargetMethod.Name: "detach" } => null,
        IInvocationOperation view when types.IsTensor(view.Type) && !IsProduct(view.TargetMethod) && view.TargetMethod.ContainingAssembly?.Name == WellKnownNames.TorchSharpAssembly =>
            LayerOf(view.Instance ?? view.Arguments.FirstOrDefault()?.Value, types, depth + 1),
        _ => null,
    };

    /// <summary>A layer's own <c>forward</c> is what multiplies by its weight.</summary>
    private static IOperation? Named(IOperation layer) => ValueFlow.Receiver(layer) is var receiver and not IInstanceReferenceOperation ? receiver : null;

    /// <summary>An embedding multiplies nothing; its weight does where the output layer shares it.</summary>
    private static bool IsEmbedding(ITypeSymbol? type, WellKnownTypes types) => WellKnownTypes.Same(type, types.Embedding) || type?.AllInterfaces.Any(one => one.ToDisplayString() == "Fossil.IEmbedding") == true;

    private static ImmutableDictionary<string, string?>? Properties(IInvocationOperation product) =>
        product is { TargetMethod.Name: "linear", Syntax: InvocationExpressionSyntax syntax } && WholeForward(syntax) is not null
            ? ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.IsForward, null)
            : null;

    /// <summary>The layer and its input, where a call of <c>linear</c> is <c>linear(x, up.weight, up.bias)</c>, and so all that the layer's <c>forward</c> does.</summary>
    internal static (ExpressionSyntax Layer, ExpressionSyntax Input)? WholeForward(InvocationExpressionSyntax linear)
    {
        if (linear.ArgumentList.Arguments is not [{ NameColon: null } input, { NameColon: null } weight, { NameColon: null } bias]) return null;
        return OwnerOf(weight, "weight") is { } layer && OwnerOf(bias, "bias") is { } other && layer.IsEquivalentTo(other, topLevel: false) ? (layer, input.Expression) : null;
    }

    private static ExpressionSyntax? OwnerOf(ArgumentSyntax argument, string member)
    {
        var value = argument.Expression;
        while (value is PostfixUnaryExpressionSyntax suppressed) value = suppressed.Operand;
        return value is MemberAccessExpressionSyntax access && access.Name.Identifier.ValueText == member ? access.Expression : null;
    }
}
