using System.Diagnostics;

namespace Fossil.Training;

/// <summary>
/// Has the garbage collector take the autograd graphs of earlier steps. Their managed part is a few megabytes that no collection would soon be made for, but what
/// it holds natively lies between the activations, and the heap grows around it: by a quarter of a run's peak (docs/smollm2.md).
/// </summary>
internal sealed class DeadGraphs
{
    // Of the time between two collections, one may take a fiftieth at the most: small models step more often than it is worth.
    private const int TimesAsLong = 50;

    private static int hasCollectedLoading;

    private long earliest;

    /// <summary>Gives back what reading models and tokenizers left, which no collection would soon be made for either: once in a process, before the first training.</summary>
    public static void CollectLoading()
    {
        if (Interlocked.Exchange(ref hasCollectedLoading, 1) == 0) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    /// <summary>Collects, unless that would take a notable share of the time.</summary>
    public void Collect()
    {
        var start = Stopwatch.GetTimestamp();
        if (start < earliest) return;
        // The graph of the step that now ends may still be in use, and survives into generation 1.
        GC.Collect(1);
        var end = Stopwatch.GetTimestamp();
        earliest = end + (TimesAsLong * (end - start));
    }
}
