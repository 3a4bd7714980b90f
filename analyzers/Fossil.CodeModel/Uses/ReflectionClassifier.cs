using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>Finds targets that are used by name.</summary>
internal static class ReflectionClassifier
{
    /// <summary>The use of a target through reflection; null for every other invocation.</summary>
    public static TargetUse? Classify(IInvocationOperation invocation, TargetIndex index)
    {
        if (LookedUp(invocation, index) is { } member) return new TargetUse(TargetUseKind.NotCovered, UncoveredReason.Reflection, member, invocation);
        return RunBy(invocation, index) is { } value ? new TargetUse(TargetUseKind.Uncertain, UncoveredReason.Reflection, null, invocation, value) : null;
    }

    /// <summary>The target that <c>typeof(Attention).GetField("q_proj")</c> and the like look up.</summary>
    private static ISymbol? LookedUp(IInvocationOperation invocation, TargetIndex index)
    {
        if (invocation.TargetMethod.Name is not ("GetField" or "GetProperty" or "GetMember" or "InvokeMember")) return null;
        if (!IsType(invocation.TargetMethod.ContainingType)) return null;
        var reflected = invocation.Instance switch
        {
            ITypeOfOperation typeOf => typeOf.TypeOperand,
            IInvocationOperation { TargetMethod.Name: "GetType", Instance: { } value } => ValueFlow.Receiver(value).Type,
            _ => null,
        };
        if (reflected is not INamedTypeSymbol type || invocation.Arguments is not [var name, ..]) return null;
        return name.Value.ConstantValue is { HasValue: true, Value: string text } && TargetMembers.Find(type, text) is { } member && index.IsTarget(member) ? member : null;
    }

    /// <summary>The value on which <c>typeof(Linear).GetMethod("forward")!.Invoke(q_proj, [x])</c> and the like run <c>forward</c>, if it could be a target.</summary>
    private static IOperation? RunBy(IInvocationOperation invocation, TargetIndex index)
    {
        if (invocation.TargetMethod is not { Name: "Invoke" or "CreateDelegate", ContainingType: { Name: "MethodBase" or "MethodInfo" or "Delegate" } type }) return null;
        if (type.ContainingNamespace is not { Name: "System" or "Reflection" }) return null;
        if (!NamesForward(invocation.Instance) && !invocation.Arguments.Any(argument => IsForward(argument.Value))) return null;
        return invocation.Arguments.Select(argument => argument.Value).FirstOrDefault(value => index.CouldHoldTarget(ValueFlow.Unconverted(value).Type));
    }

    private static bool NamesForward(IOperation? method) => method switch
    {
        null => false,
        ILocalReferenceOperation local => NamesForward(ValueFlow.Initializer(local)),
        IConversionOperation conversion => NamesForward(conversion.Operand),
        IInvocationOperation { TargetMethod.Name: "GetMethod" } lookUp => IsType(lookUp.TargetMethod.ContainingType) && lookUp.Arguments.Any(argument => IsForward(argument.Value)),
        _ => false,
    };

    private static bool IsForward(IOperation value) => value.ConstantValue is { HasValue: true, Value: WellKnownNames.ForwardMethod };

    private static bool IsType(INamedTypeSymbol type) => type is { Name: "Type", ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } };
}
