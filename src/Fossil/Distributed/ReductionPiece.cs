using System.Diagnostics;

namespace Fossil.Distributed;

/// <summary>
/// Gradients that lie one behind the other and are summed over the ranks where they lie: each rank gets its slice of all (the bytes of a ring), sums them by rank, and hands the sum to all.
/// </summary>
/// <param name="memory">What they lie in.</param>
/// <param name="gradients">The gradients.</param>
/// <param name="elements">How many they are.</param>
/// <param name="isDouble">Whether they are float64; else float32.</param>
internal sealed class ReductionPiece(IReductionMemory memory, nint gradients, int elements, bool isDouble) : IDisposable
{
    private enum Stage
    {
        Idle,
        Scattering,
        Summed,
        Gathering,
        Done,
    }

    private readonly Slices slices = Slices.Of(elements * (isDouble ? sizeof(double) : sizeof(float)), memory.Collectives.Size);
    private nint received;
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
    public long SentBytes => (Bytes - OwnBytes + ((long)OwnBytes * (memory.Collectives.Size - 1))) / (isCompressed ? 2 : 1);

    /// <summary>Whether the gradients are those of all ranks.</summary>
    public bool IsDone => stage == Stage.Done;

    /// <summary>Begins; the gradients are not to be touched any more.</summary>
    /// <param name="compress">Whether the ranks send bfloat16 (float32 gradients alone). Otherwise what was lost so far is made up for.</param>
    public void Begin(bool compress)
    {
        BeganAt = Stopwatch.GetTimestamp();
        isCompressed = compress && !isDouble;
        memory.Begin();
        memory.Guard(() =>
        {
            operation = Scatter();
            stage = Stage.Scattering;
            if (!memory.IsOrdered) return;

            // All ranks ask for this in one order, and need not be asked when the slices have come.
            Sum();
            Gather();
            if (isCompressed) compressed!.Take(gradients);
            operation = memory.End();
        });
    }

    /// <summary>Lets the library go on, and goes on where it has.</summary>
    public void Advance()
    {
        if (operation is null || !operation.IsDone()) return;
        operation = null;
        if (stage == Stage.Scattering)
        {
            Sum();
        }
        else
        {
            if (isCompressed && !memory.IsOrdered) compressed!.Take(gradients);
            stage = Stage.Done;
            EndedAt = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>Hands the sum out, where it is there. The ranks do so in one order of pieces.</summary>
    /// <returns>Whether it is handed out.</returns>
    public bool TryGather()
    {
        if (stage == Stage.Summed) Gather();
        return stage is Stage.Gathering or Stage.Done;
    }

    /// <summary>Before the next step.</summary>
    public void Reset() => stage = Stage.Idle;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (received != 0) memory.Free(received);
        received = 0;
        compressed?.Dispose();
    }

    private int OwnBytes => slices.Lengths[memory.Collectives.Rank];

    private IPendingOperation Scatter()
    {
        if (isCompressed) return (compressed ??= new(memory, elements)).Scatter(gradients);
        compressed?.GiveBack(gradients);
        if (received == 0) received = memory.Allocate((long)OwnBytes * memory.Collectives.Size);
        return memory.Collectives.AllToAll(gradients, slices, received);
    }

    private void Sum()
    {
        if (isCompressed) compressed!.Sum();
        else memory.Sum(received, OwnBytes / (isDouble ? sizeof(double) : sizeof(float)), isDouble, gradients + slices.Starts[memory.Collectives.Rank]);
        stage = Stage.Summed;
    }

    private void Gather()
    {
        operation = isCompressed ? compressed!.Gather() : memory.Collectives.AllGather(gradients, slices);
        stage = Stage.Gathering;
    }
}
