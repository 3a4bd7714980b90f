using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL032: Training whose adapters are folded into the base.</summary>
internal static class TrainingWhileMerged
{
    public const string Id = "FOSSIL032";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Training while the adapters are merged",
        "Training goes on after '{0}.{1}': while adapters are merged into the base they do not learn; call Unmerge() first, or merge after training",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "Merge folds the adapters into the frozen weights for serving. Their own parameters are not part of the forward pass then and get no gradients.");

    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        // Which of several models is trained is not told.
        if (events.Of(EventKind.Attach).Skip(1).Any()) return;
        foreach (var train in events.Of(EventKind.Train))
        {
            var merge = events.Of(EventKind.Merge).LastOrDefault(merged => merged.Precedes(train));
            if (merge?.Subject is not { } adapted || merge.Operation is not IInvocationOperation call) continue;
            var isUndone = events.InOrder.Any(between => between.Kind is EventKind.Unmerge or EventKind.Detach or EventKind.Attach or EventKind.HandOver && between.IsBetween(merge, train));
            if (isUndone) continue;
            report(Diagnostic.Create(Descriptor, train.Operation.Syntax.GetLocation(), adapted.Name, call.TargetMethod.Name + "()"));
        }
    }
}
