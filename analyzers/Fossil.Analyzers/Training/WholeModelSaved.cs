using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL033: A whole model where the adapter is meant.</summary>
internal static class WholeModelSaved
{
    public const string Id = "FOSSIL033";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Whole model is saved where the adapter is meant",
        "'{0}' is adapted: save(…) writes the whole base and the adapters in TorchSharp's format; SavePretrained(folder) writes the adapter alone, as PEFT does",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "An adapter is a few megabytes beside a base of gigabytes that does not change. After Merge or MergeAndUnload, saving the whole model is right and not reported.");

    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var save in events.Of(EventKind.Save))
        {
            if (save.Subject is not { } model) continue;
            var isAdapted = events.AttachBefore(save, model) is not null;
            var isMerged = events.InOrder.LastOrDefault(one => one.At.SpanStart < save.At.SpanStart && (one.Kind == EventKind.Merge || (one.Kind == EventKind.Unmerge && one.Precedes(save)))) is { Kind: EventKind.Merge };
            if (isAdapted && !isMerged) report(Diagnostic.Create(Descriptor, save.Operation.Syntax.GetLocation(), model.Name));
        }
    }
}
