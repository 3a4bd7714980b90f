using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL029: An optimizer that does not know the adapters.</summary>
internal static partial class OptimizerBeforeAttach
{
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
