using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Fossil.Distributed;

/// <summary>
/// Gradients that lie one behind the other and are summed over the ranks where they lie: each rank gets its slice of all (the bytes of a ring), sums them by rank, and hands the sum to all.
/// </summary>
/// <param name="group">The ranks.</param>
/// <param name="memory">The gradients.</param>
/// <param name="elements">How many they are.</param>
/// <param name="isDouble">Whether they are float64; else float32.</param>
internal sealed unsafe class ReductionPiece(ProcessGroup group, nint memory, int elements, bool isDouble) : IDisposable
{
    private enum Stage
    {
        Idle,
        Scattering,
        Summed,
        Gathering,
        Done,
    }

    private readonly Slices slices = Slices.Of(elements * (isDouble ? sizeof(double) : sizeof(float)), group.Size);
    private void* received;
    private CompressedPiece? compressed;
    private Stage stage;
    private bool isCompressed;
    private IPendingOperation? operation;

    /// <summary>When the reduction began, by <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public long BeganAt { get; private set; }

    /// <summary>When it ended.</summary>
    public long EndedAt { get; private set; }

    /// <summary>The gradients' bytes.</summary>
    public int Bytes => slices.Starts[^1] + slices.Lengths[^1];

    /// <summary>What this rank has sent to others for the last reduction.</summary>
    public long SentBytes => (Bytes - slices.Lengths[group.Rank] + ((long)slices.Lengths[group.Rank] * (group.Size - 1))) / (isCompressed ? 2 : 1);

    /// <summary>Whether the sum may be handed out.</summary>
    public bool IsSummed => stage == Stage.Summed;

    /// <summary>Whether the gradients are those of all ranks.</summary>
    public bool IsDone => stage == Stage.Done;

    /// <summary>Begins; the gradients are not to be touched any more.</summary>
    /// <param name="compress">Whether the ranks send bfloat16 (float32 gradients alone). Otherwise what was lost so far is made up for.</param>
    public void Begin(bool compress)
    {
        BeganAt = Stopwatch.GetTimestamp();
        stage = Stage.Scattering;
        isCompressed = compress && !isDouble;
        if (isCompressed)
        {
            operation = (compressed ??= new(group, elements)).Scatter(Gradients);
            return;
        }

        compressed?.GiveBack(Gradients);
        if (received is null) received = NativeMemory.AlignedAlloc((nuint)Math.Max(1, (long)slices.Lengths[group.Rank] * group.Size), 64);
        operation = group.Collectives.AllToAll(memory, slices, (nint)received);
    }

    /// <summary>Lets the library go on, and goes on where it has.</summary>
    public void Advance()
    {
        if (operation is null || !operation.IsDone()) return;
        operation = null;
        if (stage == Stage.Scattering)
        {
            Sum();
            stage = Stage.Summed;
        }
        else
        {
            if (isCompressed) compressed!.Take(Gradients);
            stage = Stage.Done;
            EndedAt = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>Hands the sum out. The ranks do so in one order of pieces.</summary>
    public void Gather()
    {
        stage = Stage.Gathering;
        operation = isCompressed ? compressed!.Gather() : group.Collectives.AllGather(memory, slices);
    }

    /// <summary>Before the next step.</summary>
    public void Reset() => stage = Stage.Idle;

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(received);
        received = null;
        compressed?.Dispose();
    }

    private Span<float> Gradients => new((float*)memory, elements);

    private void Sum()
    {
        var (start, length) = (slices.Starts[group.Rank], slices.Lengths[group.Rank]);
        if (isCompressed) compressed!.Sum();
        else if (isDouble) RankSum.Sum((double*)received, length / sizeof(double), group.Size, (double*)(memory + start));
        else RankSum.Sum((float*)received, length / sizeof(float), group.Size, (float*)(memory + start));
    }
}
