namespace Fossil.Distributed;

/// <summary>The memory that gradients are summed in over the ranks: the host's, or a device's. Addresses are of that memory; sums are made in the order of the ranks, with the same bits in either.</summary>
internal interface IReductionMemory
{
    /// <summary>What carries it.</summary>
    ICollectives Collectives { get; }

    /// <summary>Whether all that is asked for here follows on what was asked for before it, so that nobody waits between (a stream of a device). Then operations count as done at once, and <see cref="End"/> tells when they are.</summary>
    bool IsOrdered { get; }

    /// <summary>Zeros, at a multiple of 64.</summary>
    nint Allocate(long bytes);

    /// <summary>Gives them back.</summary>
    void Free(nint memory);

    /// <summary>What follows works on what was computed before.</summary>
    void Begin();

    /// <summary>Tells when all that was asked for is done.</summary>
    IPendingOperation End();

    /// <summary>Does what may take long where another rank does not come, watched.</summary>
    void Guard(Action action);

    /// <summary>The sum of rows that lie one behind the other, a row for each rank.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="length">Elements of a row.</param>
    /// <param name="isDouble">Whether they are float64; else float32.</param>
    /// <param name="sum">Where it goes; it may be none of the rows.</param>
    void Sum(nint rows, int length, bool isDouble, nint sum);

    /// <summary>Rounds float32 to bfloat16, with what was lost before (float32), which becomes what this loses.</summary>
    void Narrow(nint values, int count, nint lost, nint narrow);

    /// <summary>The sum of rows in bfloat16, made in float32, with what was lost before, rounded again.</summary>
    void SumNarrow(nint rows, int length, nint lost, nint sum);

    /// <summary>The float32 values of bfloat16 ones.</summary>
    void Widen(nint narrow, int count, nint values);

    /// <summary>Adds to float32 values what was lost of them: nothing is left to make up for.</summary>
    void GiveBack(nint lost, int count, nint values);
}
