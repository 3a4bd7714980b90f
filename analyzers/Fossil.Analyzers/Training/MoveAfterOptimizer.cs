using Fossil.CodeModel;
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
            var isStale = events.Of(EventKind.MakeOptimizer).Any(optimizer =>
                IsOver(optimizer, model, events) && optimizer.Precedes(move)
                && events.Of(EventKind.UseOptimizer).Any(use => move.Precedes(use) && events.IsUseOf(use, optimizer)));
            if (isStale) report(Diagnostic.Create(Descriptor, move.Operation.Syntax.GetLocation(), model.Name));
        }
    }

    /// <summary>Whether an optimizer is made over parameters of the model, or of the adapters on it.</summary>
    private static bool IsOver(BlockEvent optimizer, ISymbol model, BlockEvents events) =>
        WellKnownTypes.Same(optimizer.Subject, model)
        || events.Of(EventKind.Attach).Any(attach => WellKnownTypes.Same(attach.Subject, model) && WellKnownTypes.Same(attach.Result, optimizer.Subject));
}
