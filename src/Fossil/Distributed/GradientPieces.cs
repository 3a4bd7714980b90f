using System.Diagnostics;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>The pieces in which gradients are summed. All ranks begin them in the same order.</summary>
internal sealed class GradientPieces : IDisposable
{
    // Small enough that the last one, which nothing hides, is soon there; large enough that a network is busy with bytes and not with messages.
    private const long LargestRun = 4 << 20, SmallestRun = 1 << 10, RunsAtLeast = 8;

    // A piece counts its bytes in 32 bits.
    private const int LongestPiece = 1 << 28;

    private readonly List<ReductionPiece> pieces = [];
    private readonly List<int> open = [];
    private readonly Dictionary<int, int[]> piecesOf = [];
    private readonly int[] left;
    private int begun;
    private int gathered;
    private int firstUnfinished;

    /// <param name="group">The ranks.</param>
    /// <param name="flat">Numbers and places of the gradients that are summed where they lie.</param>
    /// <param name="loose">The others.</param>
    /// <param name="expected">How often a backward pass comes to each; null where that is not known.</param>
    /// <param name="order">When it came to each for the last time, a number that grows; 0 for never.</param>
    public GradientPieces(ProcessGroup group, IReadOnlyList<(int Number, FlatBuffers.Slot Slot)> flat, IReadOnlyList<LooseGradients> loose, int[]? expected, int[] order)
    {
        bool IsObserved(int number) => expected is not null && expected[number] > 0;
        var runBytes = Math.Clamp(flat.Sum(place => Bytes(place.Slot, place.Slot)) / RunsAtLeast, SmallestRun, LargestRun);
        var runs = new List<List<(int Number, FlatBuffers.Slot Slot)>>();
        foreach (var place in flat.OrderBy(place => place.Slot.Offset).GroupBy(place => place.Slot.Buffers).SelectMany(places => places))
        {
            if (runs.Count > 0 && runs[^1] is var run && place.Slot.Follows(run[^1].Slot) && IsObserved(place.Number) == IsObserved(run[^1].Number) && Bytes(run[0].Slot, place.Slot) <= runBytes) run.Add(place);
            else runs.Add([place]);
        }

        foreach (var run in runs.OrderBy(run => IsObserved(run[0].Number) ? run.Max(place => order[place.Number]) : int.MaxValue))
        {
            var (first, last) = (run[0].Slot, run[^1].Slot);
            var made = Add(group.Memories.Of(first.Buffers.Place)!, first.Buffers.GradientMemory + ((nint)first.Offset * ElementSize(first)), last.Offset + last.Count - first.Offset, first.Buffers.Dtype == ScalarType.Float64);
            foreach (var (number, _) in run) piecesOf[number] = made;
            open.AddRange(made.Select(_ => IsObserved(run[0].Number) ? run.Count : int.MaxValue));
        }

        foreach (var gradients in loose) open.AddRange(Add(gradients.Memory, gradients.Address, gradients.Elements, gradients.IsDouble).Select(_ => int.MaxValue));
        left = [.. open];
    }

    /// <summary>Before the next step.</summary>
    public void Reset()
    {
        (begun, gathered, firstUnfinished) = (0, 0, 0);
        open.CopyTo(left);
        foreach (var piece in pieces) piece.Reset();
    }

    /// <summary>Whether the reduction of a gradient has begun.</summary>
    public bool HasBegun(int number) => piecesOf.TryGetValue(number, out var its) && its.Any(piece => piece < begun);

    /// <summary>A gradient is complete. Where all of a piece are, and those before it have begun, it begins.</summary>
    public void Complete(int number, bool compress)
    {
        if (!piecesOf.TryGetValue(number, out var its)) return;
        foreach (var piece in its) left[piece]--;
        while (begun < pieces.Count && left[begun] == 0) pieces[begun++].Begin(compress);
    }

    /// <summary>Begins all that have not begun.</summary>
    public void BeginRest(bool compress)
    {
        while (begun < pieces.Count) pieces[begun++].Begin(compress);
    }

    /// <summary>Lets the library go on.</summary>
    /// <returns>Whether all sums are there.</returns>
    public bool Advance()
    {
        for (var piece = firstUnfinished; piece < begun; piece++) pieces[piece].Advance();
        while (gathered < begun && pieces[gathered].TryGather()) gathered++;
        while (firstUnfinished < begun && pieces[firstUnfinished].IsDone) firstUnfinished++;
        return firstUnfinished == pieces.Count;
    }

    /// <summary>How a step went.</summary>
    public ReductionReport Report(long preparedAt, long backwardEnded, double waitingSeconds)
    {
        double Since(long time) => Stopwatch.GetElapsedTime(preparedAt, time).TotalSeconds;
        return new([.. pieces.Select(piece => new ReducedPiece(piece.Bytes, Since(piece.BeganAt), Since(piece.EndedAt)))], Since(backwardEnded), Since(Stopwatch.GetTimestamp()), waitingSeconds, pieces.Sum(piece => piece.SentBytes));
    }

    /// <inheritdoc/>
    public void Dispose() => pieces.ForEach(piece => piece.Dispose());

    private static int ElementSize(FlatBuffers.Slot slot) => slot.Buffers.Dtype == ScalarType.Float64 ? sizeof(double) : sizeof(float);

    private static long Bytes(FlatBuffers.Slot first, FlatBuffers.Slot last) => (last.Offset + last.Count - first.Offset) * ElementSize(first);

    /// <returns>The numbers of the pieces.</returns>
    private int[] Add(IReductionMemory memory, nint gradients, long elements, bool isDouble)
    {
        var (first, size) = (pieces.Count, isDouble ? sizeof(double) : sizeof(float));
        for (long start = 0; start < elements; start += LongestPiece / size) pieces.Add(new(memory, gradients + ((nint)start * size), (int)Math.Min(LongestPiece / size, elements - start), isDouble));
        return [.. Enumerable.Range(first, pieces.Count - first)];
    }
}
