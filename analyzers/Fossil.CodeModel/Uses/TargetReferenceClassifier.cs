using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>Decides where the value of a target member goes.</summary>
internal static class TargetReferenceClassifier
{
    public static TargetUse Classify(IOperation reference, ISymbol member, TargetIndex index)
    {
        return index.IsTarget(member) ? Follow(reference, member, index) : new TargetUse(TargetUseKind.NotATarget, UncoveredReason.None, null, reference);
    }

    /// <summary>A local that holds a target; only what cannot be rewired is told, since calls on the local are classified by themselves.</summary>
    public static TargetUse ClassifyLocal(ILocalReferenceOperation reference, TargetIndex index)
    {
        if (index.CouldHoldTarget(reference.Type) && ValueFlow.TargetMember(reference, index) is { } member
            && Follow(reference, member, index) is { Reason: UncoveredReason.Sequential or UncoveredReason.PassedToAnotherAssembly } use && !ValueFlow.IsReassigned(reference))
        {
            return use;
        }
        return new TargetUse(TargetUseKind.NotATarget, UncoveredReason.None, null, reference);
    }

    private static TargetUse Follow(IOperation reference, ISymbol member, TargetIndex index, bool isList = false)
    {
        var value = reference;
        while (true)
        {
            if (value.Type?.TypeKind == TypeKind.Dynamic) return NotCovered(UncoveredReason.Dynamic);
            switch (value.Parent)
            {
                // The value goes on unchanged, or one of its elements does.
                case IConversionOperation or IParenthesizedOperation or ICoalesceOperation or ISwitchExpressionArmOperation or ISwitchExpressionOperation:
                case IConditionalOperation conditional when !ReferenceEquals(conditional.Condition, value):
                case IArrayElementReferenceOperation element when ReferenceEquals(element.ArrayReference, value):
                case IPropertyReferenceOperation { Property.IsIndexer: true } indexer when ReferenceEquals(indexer.Instance, value):
                    value = value.Parent;
                    continue;

                // layers.ToArray(): the same layers in another collection.
                case IArgumentOperation { Parent: IInvocationOperation { TargetMethod.ContainingType: { Name: "Enumerable", ContainingNamespace.Name: "Linq" } } call } when KeepsElements(call.TargetMethod):
                    value = call;
                    continue;
                case IInvocationOperation { Instance: { } list } call when ReferenceEquals(list, value) && KeepsElements(call.TargetMethod):
                    value = call;
                    continue;

                // Sequential(up = Linear(64, 64)): the value of an assignment is what it assigns.
                case ISimpleAssignmentOperation assignment when IsWritten(value) && assignment.Parent is not IExpressionStatementOperation:
                    value = assignment;
                    continue;

                // target?.forward(x): the invocation is classified by itself.
                case IInvocationOperation or IConditionalAccessOperation or IMethodReferenceOperation:
                    return Use(TargetUseKind.NotRun);

                case IArgumentOperation argument:
                    return ClassifyArgument(argument);

                // [q_proj, k_proj] and { q_proj, k_proj } as arguments: what matters is who gets the collection.
                case IArrayInitializerOperation or ICollectionExpressionOperation or ITupleOperation or IArrayCreationOperation:
                    value = value.Parent;
                    continue;

                case IReturnOperation or IVariableInitializerOperation or IAssignmentOperation or IForEachLoopOperation or IIsPatternOperation:
                    return Use(IsWritten(value) ? TargetUseKind.NotRun : TargetUseKind.Followed);

                default:
                    return Use(TargetUseKind.NotRun);
            }
        }

        TargetUse Use(TargetUseKind kind) => new(kind, UncoveredReason.None, member, reference);
        TargetUse NotCovered(UncoveredReason reason) => new(TargetUseKind.NotCovered, reason, member, reference);

        TargetUse ClassifyArgument(IArgumentOperation argument)
        {
            var called = argument.Parent switch
            {
                IInvocationOperation invocation => invocation.TargetMethod,
                IObjectCreationOperation creation => creation.Constructor,
                _ => null,
            };
            if (called is null || argument.Parameter is not { } parameter) return Use(TargetUseKind.Followed);
            if (IsSequential(called) || (!isList && ValueFlow.CollectionOf(argument) is { } list && ReachesSequential(list))) return NotCovered(UncoveredReason.Sequential);
            if (WellKnownTypes.Same(called.ContainingAssembly, index.Compilation.Assembly)) return Use(TargetUseKind.Followed);
            return CanRun(parameter.OriginalDefinition.Type) && !IsTrusted(called.ContainingAssembly.Name)
                ? NotCovered(UncoveredReason.PassedToAnotherAssembly)
                : Use(TargetUseKind.NotRun);
        }

        // var layers = new List<…> { up, ReLU() }; return Sequential(layers);
        bool ReachesSequential(ILocalSymbol list) => ValueFlow.UsesOf(list, reference).Any(use => Follow(use, member, index, isList: true).Reason == UncoveredReason.Sequential);

        static bool KeepsElements(IMethodSymbol called) =>
            called.Name is "ToArray" or "ToList" or "AsEnumerable" or "AsReadOnly" or "Concat" or "Append" or "Prepend" or "Reverse" or "Skip" or "Take" or "Where" or "Cast" or "OfType";

        bool IsSequential(IMethodSymbol called) =>
            WellKnownTypes.Same(called.ContainingType, index.Types.Sequential)
            || (called.ContainingAssembly?.Name == WellKnownNames.TorchSharpAssembly && WellKnownTypes.Same(called.ReturnType, index.Types.Sequential));

        // A parameter of type object or of the target's own base class without forward cannot run it, short of casting.
        bool CanRun(ITypeSymbol type) => type switch
        {
            ITypeParameterSymbol => false,
            IArrayTypeSymbol array => CanRun(array.ElementType),
            _ => index.Types.IsModule(type) || index.Types.IsTensorModuleInterface(type) || index.Types.ModuleElementType(type) is not null,
        };
    }

    public static TargetUse ClassifyMethodGroup(IMethodReferenceOperation methodGroup, TargetIndex index)
    {
        if (methodGroup.Instance is { } instance
            && TargetCallClassifier.RunsModule(methodGroup.Method, index.Types)
            && ValueFlow.TargetMember(instance, index) is { } member)
        {
            return new TargetUse(TargetUseKind.NotCovered, UncoveredReason.MethodGroup, member, methodGroup);
        }
        return new TargetUse(TargetUseKind.NotATarget, UncoveredReason.None, null, methodGroup);
    }

    /// <summary>The target that <c>typeof(Attention).GetField("q_proj")</c> and the like look up; null for every other invocation.</summary>
    public static ISymbol? ReflectedTarget(IInvocationOperation invocation, TargetIndex index)
    {
        if (invocation.TargetMethod.Name is not ("GetField" or "GetProperty" or "GetMember" or "InvokeMember")) return null;
        if (invocation.TargetMethod.ContainingType is not { Name: "Type", ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } }) return null;
        var reflected = invocation.Instance switch
        {
            ITypeOfOperation typeOf => typeOf.TypeOperand,
            IInvocationOperation { TargetMethod.Name: "GetType", Instance: { } value } => ValueFlow.Receiver(value).Type,
            _ => null,
        };
        if (reflected is not INamedTypeSymbol type || invocation.Arguments is not [var name, ..]) return null;
        return name.Value.ConstantValue is { HasValue: true, Value: string text } && TargetMembers.Find(type, text) is { } member && index.IsTarget(member) ? member : null;
    }

    private static bool IsWritten(IOperation value) => value.Parent is IAssignmentOperation assignment && ReferenceEquals(assignment.Target, value);

    /// <summary>Assemblies that keep, register or inspect modules but do not run them (Sequential is looked at before).</summary>
    private static bool IsTrusted(string assembly) =>
        assembly is WellKnownNames.TorchSharpAssembly or WellKnownNames.RuntimeAssembly or "mscorlib" or "netstandard"
        || assembly.StartsWith("System.", StringComparison.Ordinal)
        || assembly.StartsWith("Microsoft.", StringComparison.Ordinal);
}
