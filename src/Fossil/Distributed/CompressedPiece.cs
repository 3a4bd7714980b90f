namespace Fossil.Distributed;

/// <summary>
/// The bfloat16 form of a piece of gradients, which travels instead of it (PyTorch: <c>bf16_compress_hook</c>). What rounding loses, of a rank's own gradients and of the sums that it makes, is added to the next step's (error feedback).
/// </summary>
/// <param name="memory">Where the gradients are.</param>
/// <param name="elements">How many there are.</param>
internal sealed class CompressedPiece(IReductionMemory memory, int elements) : IDisposable
{
    private readonly Slices slices = Slices.Of(elements * sizeof(ushort), memory.Collectives.Size);
    private readonly nint lost = memory.Allocate((long)elements * sizeof(float));
    private readonly nint narrow = memory.Allocate((long)elements * sizeof(ushort));
    private nint received;
    private nint lostOfSum;

    private int Rank => memory.Collectives.Rank;

    private int OwnStart => slices.Starts[Rank] / sizeof(ushort);

    private int OwnLength => slices.Lengths[Rank] / sizeof(ushort);

    /// <summary>Sends each rank its slice.</summary>
    public IPendingOperation Scatter(nint gradients)
    {
        if (received == 0)
        {
            received = memory.Allocate((long)OwnLength * memory.Collectives.Size * sizeof(ushort));
            lostOfSum = memory.Allocate((long)OwnLength * sizeof(float));
        }

        memory.Narrow(gradients, elements, lost, narrow);
        return memory.Collectives.AllToAll(narrow, slices, received);
    }

    /// <summary>Sums what has come.</summary>
    public void Sum() => memory.SumNarrow(received, OwnLength, lostOfSum, narrow + slices.Starts[Rank]);

    /// <summary>Hands the sum out.</summary>
    public IPendingOperation Gather() => memory.Collectives.AllGather(narrow, slices);

    /// <summary>Writes the sums where the gradients are.</summary>
    public void Take(nint gradients) => memory.Widen(narrow, elements, gradients);

    /// <summary>Adds to the gradients, which travel as they are, all that was lost: nothing is left to make up for.</summary>
    public void GiveBack(nint gradients)
    {
        memory.GiveBack(lost, elements, gradients);
        if (lostOfSum != 0) memory.GiveBack(lostOfSum, OwnLength, gradients + (OwnStart * sizeof(float)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var allocated in new[] { lost, narrow, received, lostOfSum })
        {
            if (allocated != 0) memory.Free(allocated);
        }
    }
}
