using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL032: Training whose adapters are folded into the base.</summary>
internal static partial class TrainingWhileMerged
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        // Which of several models is trained is not told.
        if (events.Of(EventKind.Attach).Select(attach => attach.Operation).Distinct().Skip(1).Any()) return;
        foreach (var train in events.Of(EventKind.Train))
        {
            var merge = events.Of(EventKind.Merge).LastOrDefault(merged => merged.Precedes(train));
            if (merge?.Subject is not { } adapted || merge.Operation is not IInvocationOperation call || !Trains(train, adapted, events)) continue;
            var isUndone = events.InOrder.Any(between => between.Kind is EventKind.Unmerge or EventKind.Detach or EventKind.Attach or EventKind.HandOver && between.IsBetween(merge, train));
            if (isUndone) continue;
            report(Diagnostic.Create(Descriptor, train.Operation.Syntax.GetLocation(), adapted.Name, call.TargetMethod.Name + "()"));
        }
    }

    /// <summary>Whether a step is of the adapted model; a backward pass is if every step of the body is.</summary>
    private static bool Trains(BlockEvent train, Subject adapted, BlockEvents events)
    {
        var steps = events.Of(EventKind.Train).Where(one => one.Subject is not null && one.Operation is IInvocationOperation { TargetMethod.Name: "step" });
        return train.Operation is IInvocationOperation { TargetMethod.Name: "step" } ? IsStepOf(train, adapted, events) : steps.All(step => IsStepOf(step, adapted, events));
    }

    private static bool IsStepOf(BlockEvent step, Subject adapted, BlockEvents events)
    {
        var made = events.Of(EventKind.MakeOptimizer).Where(optimizer => Equals(optimizer.Result, step.Subject)).ToList();
        // An optimizer from elsewhere can only be of this model if the body makes none; a local one was made here, in a way that is not followed.
        if (made.Count == 0) return step.Subject is { Symbol: not ILocalSymbol } && events.Of(EventKind.MakeOptimizer).All(optimizer => events.IsOver(optimizer, adapted));
        return made.All(optimizer => events.IsOver(optimizer, adapted));
    }
}
