using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace Fossil.CompilerServices;

/// <summary>Takes the declarations of a kernel: which memory each row of a launch writes.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed unsafe class KernelWrites
{
    private readonly List<Range> ranges = [];
    private long row;

    internal KernelWrites()
    {
    }

    /// <summary>What was declared, in the order of the rows.</summary>
    internal IReadOnlyList<Range> Ranges => ranges;

    /// <summary>The row <paramref name="row"/> of <paramref name="matrix"/>.</summary>
    public void Add(in KernelMatrix matrix, long row) => Add(matrix, row, 0, matrix.Columns);

    /// <summary>A part of a row of <paramref name="matrix"/>.</summary>
    /// <param name="matrix">What is written.</param>
    /// <param name="row">Its row.</param>
    /// <param name="column">The first column that is written.</param>
    /// <param name="columns">How many are.</param>
    public void Add(in KernelMatrix matrix, long row, long column, long columns)
    {
        ref var first = ref matrix.Row<byte>(row);
        Add((nint)Unsafe.AsPointer(ref first) + (nint)(column * matrix.ElementSize), columns * matrix.ElementSize);
    }

    /// <summary><paramref name="count"/> elements from <paramref name="first"/> on.</summary>
    internal void Add<T>(T* first, long count) where T : unmanaged => Add((nint)first, count * sizeof(T));

    /// <summary>What follows is declared for the row <paramref name="next"/> of the launch.</summary>
    internal void Begin(long next) => row = next;

    private void Add(nint start, long bytes)
    {
        if (bytes <= 0) return;
        var end = start + (nint)bytes;
        // Rows of a matrix lie behind each other as a rule: one range for all that a unit of work writes.
        if (ranges is [.., var last] && last.Row == row && last.End == start) ranges[^1] = last with { End = end };
        else ranges.Add(new Range(start, end, row));
    }

    /// <summary>Memory that a row of a launch writes.</summary>
    /// <param name="Start">Address of the first byte.</param>
    /// <param name="End">Address behind the last byte.</param>
    /// <param name="Row">The row of the launch.</param>
    internal readonly record struct Range(nint Start, nint End, long Row)
    {
        /// <summary>The memory.</summary>
        public Span<byte> Bytes => new((void*)Start, checked((int)(End - Start)));
    }
}
