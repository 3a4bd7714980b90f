using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL034: An adapted model that nobody holds.</summary>
internal static partial class AdaptedModelDiscarded
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var attach in events.Of(EventKind.Attach))
        {
            if (IsDiscarded(attach)) report(Diagnostic.Create(Descriptor, attach.Operation.Syntax.GetLocation()));
        }
    }

    /// <summary>Whether nothing takes what <c>AttachAdapters</c> returns.</summary>
    public static bool IsDiscarded(BlockEvent attach) =>
        attach.Operation is IInvocationOperation { TargetMethod.Name: "AttachAdapters", Parent: IExpressionStatementOperation or ISimpleAssignmentOperation { Target: IDiscardOperation } };
}
