using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>How the rows of a matrix are shared out over the threads of a CUDA launch.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public readonly struct CudaRowSplit
{
    private const int Warp = 32, VectorsOfThread = 4;

    private readonly int threads, blockThreads;

    private CudaRowSplit(int threads, int blockThreads, long rowBlocks, int blocks, int vectors) => (this.threads, this.blockThreads, RowBlocks, Blocks, Vectors) = (threads, blockThreads, rowBlocks, blocks, vectors);

    /// <summary>Blocks down the rows.</summary>
    public long RowBlocks { get; }

    /// <summary>Blocks that share each row.</summary>
    public int Blocks { get; }

    /// <summary>Vectors of a row that one of these takes.</summary>
    public int Vectors { get; }

    /// <summary>The grid.</summary>
    public (long X, long Y) Grid => (RowBlocks, Blocks);

    /// <summary>Threads of a row, and rows of a block.</summary>
    public (int X, int Y) Block => (threads, blockThreads / threads);

    /// <summary>
    /// Shares out the rows of <paramref name="x"/>: to at least as many threads as a period has vectors, of some four vectors each; where that gives fewer blocks than there are multiprocessors, several
    /// blocks take a row, whole periods each.
    /// </summary>
    /// <param name="x">The matrix.</param>
    /// <param name="period">Vectors of a row after which the columns fall on the same shards again.</param>
    /// <param name="blockThreads">Threads of a block.</param>
    /// <param name="fewest">Vectors that a thread has at least where a row is shared.</param>
    /// <param name="multiprocessors">Of the device.</param>
    public static CudaRowSplit Of(in CudaMatrix x, int period, int blockThreads, int fewest, int multiprocessors)
    {
        var vectors = (int)(x.Columns / x.Lanes);
        var threads = Warp;
        while (threads < blockThreads && (threads < period || threads * VectorsOfThread < vectors)) threads *= 2;
        var rowBlocks = CudaGrid.Blocks(x.Rows, blockThreads / threads);
        var wanted = Math.Min(CudaGrid.Blocks(multiprocessors, (int)Math.Clamp(rowBlocks, 1, int.MaxValue)), vectors / (threads * fewest));
        if (wanted <= 1) return new(threads, blockThreads, rowBlocks, 1, vectors);
        var share = (int)(CudaGrid.Blocks(CudaGrid.Blocks(vectors, (int)wanted), period) * period);
        return new(threads, blockThreads, rowBlocks, Math.Max(1, (int)CudaGrid.Blocks(vectors, share)), share);
    }
}
