using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel;

/// <summary>Decides which invocations run a target, and which of those can be intercepted.</summary>
internal static class TargetCallClassifier
{
    public static TargetUse Classify(IInvocationOperation invocation, TargetIndex index)
    {
        if (ReflectionClassifier.Classify(invocation, index) is { } reflected) return reflected;
        if (!RunsModule(invocation.TargetMethod, index.Types) || invocation.Instance is not { } instance) return Result(TargetUseKind.NotATarget);

        var receiver = ValueFlow.Receiver(instance);
        if (IsCertainlyNoTarget(receiver) || !index.CouldHoldTarget(receiver.Type)) return Result(TargetUseKind.NotATarget);

        var reason = IsInExpressionTree(invocation) ? UncoveredReason.ExpressionTree
            : !IsNameableInGeneratedCode(invocation.TargetMethod.ContainingType) ? UncoveredReason.InaccessibleType
            : UncoveredReason.None;
        if (reason == UncoveredReason.None) return Result(TargetUseKind.Covered);
        // Where it is not rewired, call runs the hook that applies the adapters.
        if (invocation.TargetMethod.Name == WellKnownNames.CallMethod) return Result(TargetUseKind.NotRun);
        return ValueFlow.TargetMember(receiver, index) is { } ? Result(TargetUseKind.NotCovered, reason) : new(TargetUseKind.Uncertain, reason, null, invocation, receiver);

        TargetUse Result(TargetUseKind kind, UncoveredReason reason = UncoveredReason.None) =>
            new(kind, reason, invocation.Instance is { } value ? ValueFlow.TargetMember(ValueFlow.Receiver(value), index) : null, invocation);
    }

    /// <summary>Whether <paramref name="method"/> is <c>forward</c> or <c>call</c> of a module from tensor to tensor, or an override of it.</summary>
    public static bool RunsModule(IMethodSymbol method, WellKnownTypes types)
    {
        if (method is not { IsStatic: false, Arity: 0, Parameters.Length: 1 }) return false;
        if (method.Name is not (WellKnownNames.ForwardMethod or WellKnownNames.CallMethod)) return false;
        if (method.Name == WellKnownNames.CallMethod && types.IsTensorModuleInterface(method.ContainingType)) return true;

        var root = method;
        while (root.OverriddenMethod is { } overridden) root = overridden;
        return WellKnownTypes.Same(root.ContainingType, types.TensorModule);
    }

    /// <summary>
    /// Receivers that are no member's value: <c>base</c> runs the target's own code on purpose, and a module made on the spot is in no member yet.
    /// </summary>
    public static bool IsCertainlyNoTarget(IOperation receiver) => receiver switch
    {
        IInstanceReferenceOperation { Syntax: BaseExpressionSyntax } => true,
        IObjectCreationOperation => true,
        // An extension such as up.to(device) gives back the module that it is called on.
        IInvocationOperation { TargetMethod: { ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly, IsExtensionMethod: false } factory } => factory.IsStatic,
        _ => false,
    };

    private static bool IsInExpressionTree(IOperation operation)
    {
        for (var current = operation.Parent; current is not null; current = current.Parent)
        {
            if (current.Type is INamedTypeSymbol { Name: "Expression", ContainingNamespace: { Name: "Expressions", ContainingNamespace.Name: "Linq" } }
                && current is IConversionOperation or IDelegateCreationOperation)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether a file of this assembly, outside every type, can write <paramref name="type"/>.</summary>
    public static bool IsNameableInGeneratedCode(ITypeSymbol type)
    {
        if (type is ITypeParameterSymbol) return true;
        if (type is IArrayTypeSymbol array) return IsNameableInGeneratedCode(array.ElementType);
        if (type is not INamedTypeSymbol named) return false;
        for (var level = named; level is not null; level = level.ContainingType)
        {
            if (level.IsFileLocal || !level.CanBeReferencedByName) return false;
            if (level.DeclaredAccessibility is not (Accessibility.Public or Accessibility.Internal or Accessibility.ProtectedOrInternal)) return false;
            if (!level.TypeArguments.All(IsNameableInGeneratedCode)) return false;
        }
        return true;
    }
}
