using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL033: A whole model where the adapter is meant.</summary>
internal static partial class WholeModelSaved
{
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
