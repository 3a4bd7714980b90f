using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL030: A move that leaves the optimizer with dead parameters.</summary>
internal static class MoveAfterOptimizer
{
    public const string Id = "FOSSIL030";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Model is moved after the optimizer was made",
        "'{0}' is moved after the optimizer was made: moving makes new parameters, and the optimizer keeps the old ones; move first, then make the optimizer",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "In TorchSharp, to(…) replaces the parameters of a module where device or type change. An optimizer that was made before updates parameters that no layer uses.");

    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var move in events.Of(EventKind.Move))
        {
            if (move.Subject is not { } model) continue;
            // Behind a condition, an optimizer that is made afterwards may be the one of that case.
            var isMadeLater = events.Of(EventKind.MakeOptimizer).Any(optimizer => IsOver(optimizer, model, events) && move.At.SpanStart < optimizer.At.SpanStart);
            var isStale = events.Of(EventKind.MakeOptimizer).Any(optimizer => IsOver(optimizer, model, events) && optimizer.Precedes(move)
                && events.IsUsedAfter(move, optimizer, (moved, use) => isMadeLater ? moved.Precedes(use) : moved.MayPrecede(use)));
            if (isStale) report(Diagnostic.Create(Descriptor, move.Operation.Syntax.GetLocation(), model.Name));
        }
    }

    /// <summary>Whether an optimizer is made over parameters of the model, or of the adapters on it.</summary>
    private static bool IsOver(BlockEvent optimizer, Subject model, BlockEvents events) =>
        Equals(optimizer.Subject, model)
        || events.Of(EventKind.Attach).Any(attach => Equals(attach.Subject, model) && Equals(attach.Result, optimizer.Subject));
}
