using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL030: A move that leaves the optimizer with dead parameters.</summary>
internal static partial class MoveAfterOptimizer
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var move in events.Of(EventKind.Move))
        {
            if (move.Subject is not { } model) continue;
            // Behind a condition, an optimizer that is made afterwards may be the one of that case.
            var isMadeLater = events.Of(EventKind.MakeOptimizer).Any(optimizer => events.IsOver(optimizer, model) && move.At.SpanStart < optimizer.At.SpanStart);
            var isStale = events.Of(EventKind.MakeOptimizer).Any(optimizer => events.IsOver(optimizer, model) && optimizer.Precedes(move)
                && events.IsUsedAfter(move, optimizer, (moved, use) => isMadeLater ? moved.Precedes(use) : moved.MayPrecede(use)));
            if (isStale) report(Diagnostic.Create(Descriptor, move.Operation.Syntax.GetLocation(), model.Name));
        }
    }
}
