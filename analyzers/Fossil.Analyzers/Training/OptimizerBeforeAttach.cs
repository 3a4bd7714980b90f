using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL029: An optimizer that does not know the adapters.</summary>
internal static class OptimizerBeforeAttach
{
    public const string Id = "FOSSIL029";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Optimizer is made before the adapters are attached",
        "The optimizer is made before AttachAdapters and used after it, so that it trains the frozen base and not the adapters: make it afterwards, with CreateOptimizer",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "An optimizer keeps the parameters that it was given. The adapters' parameters do not exist before AttachAdapters.");

    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var optimizer in events.Of(EventKind.MakeOptimizer))
        {
            if (optimizer.Parameters is null || optimizer.Subject is not { } model) continue;
            var attach = events.Of(EventKind.Attach).FirstOrDefault(attached => Equals(attached.Subject, model) && optimizer.Precedes(attached));
            if (attach is null || !events.IsUsedAfter(attach, optimizer, (attached, use) => attached.Precedes(use))) continue;
            report(Diagnostic.Create(Descriptor, optimizer.Operation.Syntax.GetLocation()));
        }
    }
}
