using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL038: A model that is returned after its adapters were attached under <c>using</c>, which takes them off as the method ends.</summary>
internal static partial class AdaptersGoneOnReturn
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var attach in events.Of(EventKind.Attach))
        {
            if (attach.Result is not { Symbol: ILocalSymbol { IsUsing: true } } adapted) continue;
            foreach (var returned in events.Of(EventKind.Return).Where(returned => IsAfter(attach, returned)))
            {
                var isAdapted = Equals(returned.Subject, adapted);
                if (!isAdapted && (!Equals(returned.Subject, attach.Subject) || IsKept(events, attach, returned))) continue;
                report(Diagnostic.Create(Descriptor, returned.Operation.Syntax.GetLocation(), returned.Subject!.Name, adapted.Name));
            }
        }
    }

    /// <summary>Whether the method itself returns, not a function in it.</summary>
    private static bool IsAfter(BlockEvent attach, BlockEvent returned) => returned.At == returned.Operation.Syntax && attach.At == attach.Operation.Syntax
        && SourceOrder.FunctionAround(attach.At) == SourceOrder.FunctionAround(returned.At) && attach.Precedes(returned);

    /// <summary>Whether what was learnt outlives the adapters, as far as can be seen.</summary>
    private static bool IsKept(BlockEvents events, BlockEvent attach, BlockEvent returned) => events.InOrder.Any(one =>
        one.Kind is EventKind.Merge or EventKind.SaveAdapter or EventKind.HandOver or EventKind.Detach && Equals(one.Subject, attach.Result) && one.IsBetween(attach, returned));
}
