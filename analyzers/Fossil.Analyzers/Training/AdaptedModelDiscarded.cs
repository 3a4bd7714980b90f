using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL034: An adapted model that nobody holds.</summary>
internal static class AdaptedModelDiscarded
{
    public const string Id = "FOSSIL034";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Result of AttachAdapters is not kept",
        "The adapted model that AttachAdapters returns is not kept: without it the adapters can be neither trained, saved nor removed; write using var adapted = …",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "The adapted model gives the optimizer, saves, merges, and takes the adapters off again when it is disposed.");

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
