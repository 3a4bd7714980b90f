namespace Fossil.CompilerServices;

/// <summary>
/// Watches the launches of a process that is started with the runtime option <c>Fossil.CheckKernels</c>, as the tests are: no two rows may write the same memory, and
/// (where the launch is small) each writes only what it declares, and the same whichever rows it runs with. A race shows in a few runs of many; this shows in each.
/// </summary>
internal sealed class KernelCheck
{
    /// <summary>Bytes that watching the rows of a launch one by one may compare.</summary>
    private const long Affordable = 1 << 22;

    /// <summary>What a comparison costs beside the bytes.</summary>
    private const long BytesPerRange = 64;

    /// <summary>As float32 and as bfloat16 not a number.</summary>
    private const byte Mark = 0xFF;

    private readonly Type kernel;
    private readonly IReadOnlyList<KernelWrites.Range> ranges;
    private readonly IReadOnlyList<byte[]>? expected;

    private KernelCheck(Type kernel, IReadOnlyList<KernelWrites.Range> ranges, IReadOnlyList<byte[]>? expected) => (this.kernel, this.ranges, this.expected) = (kernel, ranges, expected);

    /// <summary>Whether launches are watched.</summary>
    public static bool IsOn { get; } = AppContext.TryGetSwitch("Fossil.CheckKernels", out var isOn) && isOn;

    /// <summary>Looks at a launch before it runs.</summary>
    /// <exception cref="InvalidOperationException">The kernel is at fault: the message says how.</exception>
    public static KernelCheck Before<TKernel>(long rows, TKernel kernel) where TKernel : struct, IRowKernel
    {
        var writes = new KernelWrites();
        for (var row = 0L; row < rows; row++)
        {
            writes.Begin(row);
            kernel.DeclareWrites(row, writes);
        }

        if (rows > 0 && writes.Ranges.Count == 0) throw Fault(typeof(TKernel), "declares no memory that its rows write");
        var ranges = writes.Ranges.Order(Comparer<KernelWrites.Range>.Create((left, right) => left.Start.CompareTo(right.Start))).ToList();
        FindOverlap(typeof(TKernel), ranges);
        var bytes = ranges.Sum(range => range.End - range.Start + BytesPerRange);
        return new(typeof(TKernel), ranges, rows * bytes <= Affordable ? RowByRow(rows, kernel, ranges) : null);
    }

    /// <summary>Looks at the same launch after it ran.</summary>
    /// <exception cref="InvalidOperationException">Its result is not the one of rows that run alone.</exception>
    public void After()
    {
        if (expected is null) return;
        for (var i = 0; i < ranges.Count; i++)
        {
            if (!ranges[i].Bytes.SequenceEqual(expected[i])) throw Fault(kernel, $"gives row {ranges[i].Row} other values with other rows than alone");
        }
    }

    private static void FindOverlap(Type kernel, List<KernelWrites.Range> ranges)
    {
        for (var i = 1; i < ranges.Count; i++)
        {
            var (before, next) = (ranges[i - 1], ranges[i]);
            if (next.Start >= before.End) continue;
            if (next.Row != before.Row) throw Fault(kernel, $"writes {Math.Min(before.End, next.End) - next.Start} bytes both for row {before.Row} and for row {next.Row}");
            // A row may write twice; the longer of the two is what others must keep away from.
            ranges[i] = next with { Start = before.Start, End = Math.Max(before.End, next.End) };
        }
    }

    /// <summary>
    /// What the launch gives when its rows run one after the other, each with marks where the others write: a mark must stay, and a row that reads one comes out as
    /// nonsense. Then the memory is as it was before.
    /// </summary>
    private static List<byte[]> RowByRow<TKernel>(long rows, TKernel kernel, List<KernelWrites.Range> ranges) where TKernel : struct, IRowKernel
    {
        List<byte[]> original = [.. ranges.Select(range => range.Bytes.ToArray())], results = [.. original];
        var ofRow = Enumerable.Range(0, ranges.Count).ToLookup(i => ranges[i].Row);
        foreach (var range in ranges) range.Bytes.Fill(Mark);
        for (var row = 0L; row < rows; row++)
        {
            foreach (var i in ofRow[row]) original[i].CopyTo(ranges[i].Bytes);
            kernel.Run(row, row + 1);
            foreach (var i in ofRow[row]) results[i] = ranges[i].Bytes.ToArray();
            foreach (var i in ofRow[row]) ranges[i].Bytes.Fill(Mark);
            foreach (var range in ranges)
            {
                if (range.Row != row && range.Bytes.ContainsAnyExcept(Mark)) throw Fault(typeof(TKernel), $"writes memory of row {range.Row} for row {row}");
            }
        }

        for (var i = 0; i < ranges.Count; i++) original[i].CopyTo(ranges[i].Bytes);
        return results;
    }

    private static InvalidOperationException Fault(Type kernel, string what) => new($"The kernel {kernel} {what}.");
}
