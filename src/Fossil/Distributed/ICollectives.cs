namespace Fossil.Distributed;

/// <summary>
/// What processes that train together ask of the library between them (MPI's names). All processes call the same operations, of each kind in the same order; one thread of a process at a time.
/// A process that is alone has none of this.
/// </summary>
/// <remarks>Memory that an operation reads or writes stays where it is, and its counted parts unchanged, until <see cref="IPendingOperation.IsDone"/>.</remarks>
internal interface ICollectives : IDisposable
{
    /// <summary>The library and its version; the same in all processes.</summary>
    string Library { get; }

    /// <summary>Which of the processes this is, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>Copies memory of one process to all.</summary>
    IPendingOperation Broadcast(nint memory, int bytes, int root);

    /// <summary>Sends slice k of this process's memory to process k, and receives this process's own slice of all: one behind the other, by rank.</summary>
    /// <param name="send">The memory that the slices are of.</param>
    /// <param name="slices">Where the slices are.</param>
    /// <param name="receive">As many times this process's slice as there are processes.</param>
    IPendingOperation AllToAll(nint send, Slices slices, nint receive);

    /// <summary>Fills up memory of which each process has its own slice.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="slices">Where the slices are.</param>
    IPendingOperation AllGather(nint memory, Slices slices);

    /// <summary>Ends all processes. It may not return.</summary>
    void Abort();
}

/// <summary>An operation that has begun.</summary>
internal interface IPendingOperation
{
    /// <summary>Lets the library go on with its work, and says whether this operation is done. Not to be asked again after that.</summary>
    bool IsDone();
}

/// <summary>One that is done, or on which all that follows waits anyway.</summary>
internal sealed class CompletedOperation : IPendingOperation
{
    public static readonly CompletedOperation Instance = new();

    /// <inheritdoc/>
    public bool IsDone() => true;
}

/// <summary>How memory is divided among processes, in bytes.</summary>
/// <param name="Starts">Where each process's slice begins.</param>
/// <param name="Lengths">How long each is.</param>
internal sealed record Slices(int[] Starts, int[] Lengths)
{
    // Slices begin where a cache line does: no two processes' sums share one.
    private const int Alignment = 64;

    /// <summary>All of them together, where they lie one behind the other.</summary>
    public int Bytes => Starts[^1] + Lengths[^1];

    /// <summary>Whether they lie one behind the other and are equally long.</summary>
    public bool AreEqual { get; } = Starts.Index().All(slice => slice.Item == (long)slice.Index * Lengths[0]) && Array.TrueForAll(Lengths, length => length == Lengths[0]);

    /// <summary>Slices that are as equal as whole cache lines allow.</summary>
    /// <param name="bytes">All of them together.</param>
    /// <param name="count">The number of processes.</param>
    public static Slices Of(int bytes, int count)
    {
        var lines = (bytes + Alignment - 1) / Alignment;
        int Start(int rank) => (int)Math.Min(bytes, (long)lines * rank / count * Alignment);
        return new([.. Enumerable.Range(0, count).Select(Start)], [.. Enumerable.Range(0, count).Select(rank => Start(rank + 1) - Start(rank))]);
    }

    /// <summary>Slices of equal length.</summary>
    public static Slices Equal(int bytesEach, int count) => new([.. Enumerable.Range(0, count).Select(rank => rank * bytesEach)], [.. Enumerable.Repeat(bytesEach, count)]);
}
