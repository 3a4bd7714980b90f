using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>Decides where the value of a target member goes, and whether what a value goes to can run it without an adapter.</summary>
internal static class TargetReferenceClassifier
{
    public static TargetUse Classify(IOperation reference, ISymbol member, TargetIndex index) =>
        index.IsTarget(member) ? Follow(reference, member, index) : NotATarget(reference);

    /// <summary>What an argument, an assignment or a return hands over to another assembly. A target that is named there is classified by itself.</summary>
    public static TargetUse ClassifyHandover(IOperation place, IOperation? value, TargetIndex index) => value is not null && ForeignCode.Gets(value, index)
        ? new TargetUse(TargetUseKind.Uncertain, UncoveredReason.PassedToAnotherAssembly, null, value, value)
        : NotATarget(place);

    /// <summary>What becomes <c>dynamic</c>. A target that is named there is classified by itself.</summary>
    public static TargetUse ClassifyConversion(IConversionOperation conversion, TargetIndex index) =>
        conversion.Type?.TypeKind == TypeKind.Dynamic && conversion.Operand.Type is not { TypeKind: TypeKind.Dynamic } && index.CouldHoldTarget(conversion.Operand.Type) && MayRunForward(conversion)
            ? new TargetUse(TargetUseKind.Uncertain, UncoveredReason.Dynamic, null, conversion.Operand, conversion.Operand)
            : NotATarget(conversion);

    public static TargetUse ClassifyMethodGroup(IMethodReferenceOperation methodGroup, TargetIndex index)
    {
        // A delegate made from call runs the hook that applies the adapters.
        if (methodGroup is not { Instance: { } instance, Method.Name: WellKnownNames.ForwardMethod } || !TargetCallClassifier.RunsModule(methodGroup.Method, index.Types)) return NotATarget(methodGroup);
        if (ValueFlow.TargetMember(instance, index) is { } member) return new TargetUse(TargetUseKind.NotCovered, UncoveredReason.MethodGroup, member, methodGroup);
        var receiver = ValueFlow.Receiver(instance);
        return TargetCallClassifier.IsCertainlyNoTarget(receiver) || !index.CouldHoldTarget(receiver.Type)
            ? NotATarget(methodGroup)
            : new TargetUse(TargetUseKind.Uncertain, UncoveredReason.MethodGroup, null, methodGroup, instance);
    }

    private static TargetUse Follow(IOperation reference, ISymbol member, TargetIndex index)
    {
        var value = reference;
        while (true)
        {
            if (value.Type?.TypeKind == TypeKind.Dynamic) return MayRunForward(value) ? NotCovered(UncoveredReason.Dynamic) : Use(TargetUseKind.NotRun);
            switch (value.Parent)
            {
                // The value goes on unchanged, or one of its elements does.
                case IConversionOperation or IParenthesizedOperation or ICoalesceOperation or ISwitchExpressionArmOperation or ISwitchExpressionOperation:
                case IConditionalOperation conditional when !ReferenceEquals(conditional.Condition, value):
                case IConditionalAccessOperation access when ReferenceEquals(access.WhenNotNull, value):
                case IArrayElementReferenceOperation element when ReferenceEquals(element.ArrayReference, value):
                case IPropertyReferenceOperation { Property.IsIndexer: true } indexer when ReferenceEquals(indexer.Instance, value):
                    value = value.Parent;
                    continue;

                // Run(up = Linear(64, 64)): the value of an assignment is what it assigns.
                case ISimpleAssignmentOperation assignment when IsWritten(value) && assignment.Parent is not IExpressionStatementOperation:
                    value = assignment;
                    continue;

                // target?.forward(x): the invocation is classified by itself.
                case IInvocationOperation or IConditionalAccessOperation or IMethodReferenceOperation:
                    return Use(TargetUseKind.NotRun);

                case IArgumentOperation argument:
                    if (ForeignCode.Gets(value, index)) return NotCovered(UncoveredReason.PassedToAnotherAssembly);
                    return Use(ForeignCode.IsCalledBy(argument, index) ? TargetUseKind.NotRun : TargetUseKind.Followed);

                // [q_proj, k_proj] and { q_proj, k_proj } as arguments: what matters is who gets the collection.
                case IArrayInitializerOperation or ICollectionExpressionOperation or ISpreadOperation or ITupleOperation or IArrayCreationOperation:
                    value = value.Parent;
                    continue;

                case IReturnOperation or IVariableInitializerOperation or IAssignmentOperation or IForEachLoopOperation or IIsPatternOperation:
                    if (ForeignCode.Gets(value, index)) return NotCovered(UncoveredReason.PassedToAnotherAssembly);
                    return Use(IsWritten(value) ? TargetUseKind.NotRun : TargetUseKind.Followed);

                default:
                    return Use(TargetUseKind.NotRun);
            }
        }

        TargetUse Use(TargetUseKind kind) => new(kind, UncoveredReason.None, member, reference);
        TargetUse NotCovered(UncoveredReason reason) => new(TargetUseKind.NotCovered, reason, member, reference);
    }

    private static TargetUse NotATarget(IOperation operation) => new(TargetUseKind.NotATarget, UncoveredReason.None, null, operation);

    private static bool IsWritten(IOperation value) => value.Parent is IAssignmentOperation assignment && ReferenceEquals(assignment.Target, value);

    /// <summary>Whether more than <c>call</c>, which runs the hook that applies the adapters, may be done with a dynamic value.</summary>
    private static bool MayRunForward(IOperation value) => value.Parent switch
    {
        IConversionOperation or IParenthesizedOperation => MayRunForward(value.Parent),
        IDynamicMemberReferenceOperation { MemberName: var name } => name != WellKnownNames.CallMethod,
        IVariableInitializerOperation { Parent: IVariableDeclaratorOperation variable } => ValueFlow.UsesOf(variable.Symbol, value).Select(MayRunForward).DefaultIfEmpty(true).Any(may => may),
        _ => true,
    };
}
