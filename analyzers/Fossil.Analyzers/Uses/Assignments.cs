using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>What one operation assigns: <c>q_proj = …</c>, or each part of <c>(q_proj, k_proj) = …</c>.</summary>
internal static class Assignments
{
    /// <summary>Targets with their values; the value of a part that a method gives is that of the method.</summary>
    public static IEnumerable<(IOperation Target, IOperation Value)> Of(IOperation operation) => operation switch
    {
        ISimpleAssignmentOperation assignment => [(assignment.Target, assignment.Value)],
        IDeconstructionAssignmentOperation deconstruction => Parts(deconstruction.Target, deconstruction.Value),
        _ => [],
    };

    private static IEnumerable<(IOperation Target, IOperation Value)> Parts(IOperation target, IOperation value)
    {
        value = ValueFlow.Unconverted(value);
        if (target is not ITupleOperation targets) return [(target, value)];
        var values = value as ITupleOperation;
        return targets.Elements.SelectMany((part, index) => Parts(part, values is not null && index < values.Elements.Length ? values.Elements[index] : value));
    }
}
