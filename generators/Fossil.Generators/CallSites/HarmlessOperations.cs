using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>What may run between two calls that are to be one: operations that read, make new tensors or views of what is there, and set local variables.</summary>
internal static class HarmlessOperations
{
    // Methods of tensors that change nothing, draw no random numbers and end no tensor's life.
    private static readonly HashSet<string> TensorMethods =
    [
        "abs", "add", "alias", "bmm", "chunk", "clone", "contiguous", "detach", "dim", "div", "exp", "expand", "flatten", "gelu", "matmul", "mean", "mm", "movedim", "mul", "narrow", "neg", "norm", "numel",
        "permute", "pow", "relu", "reshape", "rsqrt", "select", "sigmoid", "silu", "size", "softmax", "split", "sqrt", "square", "squeeze", "stride", "sub", "sum", "swapaxes", "t", "tanh", "to", "to_type", "transpose", "type_as",
        "unflatten", "unsqueeze", "view", "view_as",
    ];

    /// <summary>Whether the parts of <paramref name="operation"/> each run once, in order, and it behind them.</summary>
    public static bool IsStraight(IOperation operation) => operation is
        IBlockOperation or IExpressionStatementOperation or IVariableDeclarationGroupOperation or IVariableDeclarationOperation or IVariableDeclaratorOperation or IVariableInitializerOperation
        or ISimpleAssignmentOperation or IDeconstructionAssignmentOperation or ICompoundAssignmentOperation or IIncrementOrDecrementOperation or IDeclarationExpressionOperation or ITupleOperation or IDiscardOperation
        or IInvocationOperation or IArgumentOperation or IConversionOperation or IParenthesizedOperation or ILiteralOperation or IDefaultValueOperation or INameOfOperation
        or IInstanceReferenceOperation or ILocalReferenceOperation or IParameterReferenceOperation or IFieldReferenceOperation or IPropertyReferenceOperation
        or IArrayElementReferenceOperation or IArrayCreationOperation or IArrayInitializerOperation or ICollectionExpressionOperation or IUnaryOperation or IReturnOperation
        || operation is IBinaryOperation { OperatorKind: not (BinaryOperatorKind.ConditionalAnd or BinaryOperatorKind.ConditionalOr) };

    /// <summary>Whether an operation that is straight, without its parts, leaves the variables <paramref name="kept"/> and all state as they are, and does not depend on when it runs.</summary>
    public static bool IsHarmless(IOperation operation, ISymbol?[] kept, WellKnownTypes types, SyntaxTree tree) => operation switch
    {
        IReturnOperation => false,
        IInvocationOperation invocation => IsHarmless(invocation, types),
        IPropertyReferenceOperation property => WellKnownTypes.Same(property.Property.ContainingType, types.Tensor) || IsPlain(property.Property, tree) || IsLength(property.Property),
        IFieldReferenceOperation field => !field.Field.IsVolatile && (!field.Field.IsStatic || field.Field.IsConst),
        IConversionOperation conversion => IsOf(conversion.OperatorMethod, types),
        IBinaryOperation binary => IsOf(binary.OperatorMethod, types),
        IUnaryOperation unary => IsOf(unary.OperatorMethod, types),
        ICompoundAssignmentOperation assignment => IsOf(assignment.OperatorMethod, types) && SetsOther(assignment.Target, kept),
        IIncrementOrDecrementOperation step => step.OperatorMethod is null && SetsOther(step.Target, kept),
        // Of anything but a tuple, a method of its own takes the parts.
        IDeconstructionAssignmentOperation { Value: not ITupleOperation } => false,
        IAssignmentOperation assignment => SetsOther(assignment.Target, kept),
        IArgumentOperation argument => argument.Parameter is { RefKind: RefKind.None or RefKind.In },
        IVariableDeclaratorOperation declarator => !declarator.Symbol.IsRef,
        ICollectionExpressionOperation collection => collection.Type is IArrayTypeSymbol,
        _ => true,
    };

    /// <summary>The local variable, or parameter passed by value, that <paramref name="operation"/> reads; null where it is anything else.</summary>
    public static ISymbol? Variable(IOperation operation) => WithoutConversion(operation) switch
    {
        ILocalReferenceOperation { Local.IsRef: false } local => local.Local,
        IParameterReferenceOperation { Parameter.RefKind: RefKind.None } parameter => parameter.Parameter,
        _ => null,
    };

    /// <summary>Without the conversions that leave the value itself.</summary>
    public static IOperation WithoutConversion(IOperation operation) => operation switch
    {
        IConversionOperation { OperatorMethod: null, Conversion: { IsReference: true } or { IsIdentity: true } } conversion => WithoutConversion(conversion.Operand),
        IParenthesizedOperation inner => WithoutConversion(inner.Operand),
        _ => operation,
    };

    /// <summary>Whether a property is one without code: the compiler's own accessors, in this file, which no class overrides.</summary>
    public static bool IsPlain(IPropertySymbol property, SyntaxTree tree) =>
        property is { IsVirtual: false, IsAbstract: false, IsOverride: false, IsStatic: false } && property.DeclaringSyntaxReferences.All(reference => reference.SyntaxTree == tree)
        && property.ContainingType.GetMembers().OfType<IFieldSymbol>().Any(field => SymbolEqualityComparer.Default.Equals(field.AssociatedSymbol, property));

    private static bool IsLength(IPropertySymbol property) => property is { Name: "Length", ContainingType.SpecialType: SpecialType.System_Array };

    private static bool IsHarmless(IInvocationOperation invocation, WellKnownTypes types)
    {
        var method = invocation.TargetMethod;
        if (method.ContainingType is { Name: "Math" or "MathF", ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } }) return true;
        var isOfTensors = IsOf(method, types) || method.ContainingType is { Name: "functional", ContainingType.Name: "nn", ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly };

        // relu(x, inplace: true) is none.
        return isOfTensors && TensorMethods.Contains(method.Name)
            && invocation.Arguments.All(argument => argument.Parameter is { Name: not "inplace" } || argument.Value.ConstantValue is { HasValue: true, Value: false });
    }

    /// <summary>Whether an operator is the language's own, or the tensors'.</summary>
    private static bool IsOf(IMethodSymbol? method, WellKnownTypes types) =>
        method is null || WellKnownTypes.Same(method.ContainingType, types.Tensor) || method.ContainingType is { Name: "Scalar", ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly };

    /// <summary>Whether what is set are local variables, none of them of <paramref name="kept"/>.</summary>
    private static bool SetsOther(IOperation target, ISymbol?[] kept) => target switch
    {
        ITupleOperation tuple => tuple.Elements.All(element => SetsOther(element, kept)),
        IDeclarationExpressionOperation declaration => SetsOther(declaration.Expression, kept),
        IDiscardOperation => true,
        _ => Variable(target) is { } variable && !kept.Contains(variable, SymbolEqualityComparer.Default),
    };
}
