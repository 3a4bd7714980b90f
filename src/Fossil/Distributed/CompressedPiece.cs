using System.Runtime.InteropServices;

namespace Fossil.Distributed;

/// <summary>
/// The bfloat16 form of a piece of gradients, which travels instead of it (PyTorch: <c>bf16_compress_hook</c>). What rounding loses, of a rank's own gradients and of the sums that it makes, is added to the next step's (error feedback).
/// </summary>
/// <param name="group">The ranks.</param>
/// <param name="elements">How many gradients there are.</param>
internal sealed unsafe class CompressedPiece(ProcessGroup group, int elements) : IDisposable
{
    private readonly Slices slices = Slices.Of(elements * sizeof(ushort), group.Size);
    private readonly float[] lost = new float[elements];
    private ushort* narrow = (ushort*)NativeMemory.AlignedAlloc((nuint)elements * sizeof(ushort), 64);
    private ushort* received;
    private float[] lostOfSum = [];

    private int OwnStart => slices.Starts[group.Rank] / sizeof(ushort);

    private int OwnLength => slices.Lengths[group.Rank] / sizeof(ushort);

    /// <summary>Sends each rank its slice.</summary>
    public IPendingOperation Scatter(ReadOnlySpan<float> gradients)
    {
        if (received is null)
        {
            received = (ushort*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, (long)OwnLength * group.Size * sizeof(ushort)), 64);
            lostOfSum = new float[OwnLength];
        }

        RankSum.Narrow(gradients, lost, new(narrow, elements));
        return group.Collectives.AllToAll((nint)narrow, slices, (nint)received);
    }

    /// <summary>Sums what has come.</summary>
    public void Sum() => RankSum.Sum(new(received, OwnLength * group.Size), group.Size, lostOfSum, new(narrow + OwnStart, OwnLength));

    /// <summary>Hands the sum out.</summary>
    public IPendingOperation Gather() => group.Collectives.AllGather((nint)narrow, slices);

    /// <summary>Writes the sums where the gradients are.</summary>
    public void Take(Span<float> gradients) => RankSum.Widen(new(narrow, elements), gradients);

    /// <summary>Adds to the gradients, which travel as they are, all that was lost: nothing is left to make up for.</summary>
    public void GiveBack(Span<float> gradients)
    {
        for (var i = 0; i < elements; i++)
        {
            if (lost[i] != 0) gradients[i] += lost[i];
        }

        var own = gradients[OwnStart..];
        for (var i = 0; i < lostOfSum.Length; i++)
        {
            if (lostOfSum[i] != 0) own[i] += lostOfSum[i];
        }

        Array.Clear(lost);
        Array.Clear(lostOfSum);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(narrow);
        NativeMemory.AlignedFree(received);
        narrow = received = null;
    }
}
