using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>What a piece of code does with a target.</summary>
/// <param name="Kind">Whether the generator rewires it, follows it, or cannot.</param>
/// <param name="Reason">Why it is not covered.</param>
/// <param name="Member">The target member, where the use names one.</param>
/// <param name="Operation">The operation to report at.</param>
/// <param name="Value">The value of an <see cref="TargetUseKind.Uncertain"/> use.</param>
public readonly record struct TargetUse(TargetUseKind Kind, UncoveredReason Reason, ISymbol? Member, IOperation Operation, IOperation? Value = null)
{
    /// <summary>
    /// Classifies <paramref name="operation"/>: a reference to a target member, a method group, an invocation, what hands a value over (argument, assignment, return, conversion), or any other operation
    /// (<see cref="TargetUseKind.NotATarget"/>). The generator intercepts exactly the invocations that are <see cref="TargetUseKind.Covered"/>. The analyzers
    /// report the <see cref="TargetUseKind.NotCovered"/>, and of the <see cref="TargetUseKind.Uncertain"/> those whose value comes from a target.
    /// </summary>
    public static TargetUse Classify(IOperation operation, TargetIndex index) => operation switch
    {
        IInvocationOperation invocation => TargetCallClassifier.Classify(invocation, index),
        IMethodReferenceOperation methodGroup => TargetReferenceClassifier.ClassifyMethodGroup(methodGroup, index),
        IFieldReferenceOperation field => TargetReferenceClassifier.Classify(field, field.Field, index),
        IPropertyReferenceOperation property => TargetReferenceClassifier.Classify(property, property.Property, index),
        IArgumentOperation argument => TargetReferenceClassifier.ClassifyHandover(argument, argument.Value, index),
        ISimpleAssignmentOperation assignment => TargetReferenceClassifier.ClassifyHandover(assignment, assignment.Value, index),
        IReturnOperation result => TargetReferenceClassifier.ClassifyHandover(result, result.ReturnedValue, index),
        IConversionOperation conversion => TargetReferenceClassifier.ClassifyConversion(conversion, index),
        _ => new TargetUse(TargetUseKind.NotATarget, UncoveredReason.None, null, operation),
    };
}

/// <summary>What becomes of a use of a target.</summary>
public enum TargetUseKind
{
    /// <summary>No target is involved.</summary>
    NotATarget,

    /// <summary>A call that is rewired.</summary>
    Covered,

    /// <summary>The target is stored, passed or returned inside this compilation, where calls on it are rewired in turn.</summary>
    Followed,

    /// <summary>The target is not run: its weight is read, it is registered, compared, assigned.</summary>
    NotRun,

    /// <summary>The target can be run without its adapter.</summary>
    NotCovered,

    /// <summary>What it is used on can be run without an adapter, and may be a target.</summary>
    Uncertain,
}

/// <summary>Why a use of a target cannot be rewired.</summary>
public enum UncoveredReason
{
    /// <summary>It can, or nothing is to be rewired.</summary>
    None,

    /// <summary><c>q_proj.forward</c> without a call, as a delegate.</summary>
    MethodGroup,

    /// <summary><c>forward</c> is called in an expression tree.</summary>
    ExpressionTree,

    /// <summary>The target is passed to code in another assembly that can call its <c>forward</c>.</summary>
    PassedToAnotherAssembly,

    /// <summary>The called type is private, protected or local to a file, so that generated code cannot name it.</summary>
    InaccessibleType,

    /// <summary>The target becomes <c>dynamic</c>, and not for <c>call</c> alone.</summary>
    Dynamic,

    /// <summary>The member, or its <c>forward</c>, is looked up by its name through reflection.</summary>
    Reflection,
}
