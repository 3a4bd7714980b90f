namespace Fossil.Cuda;

/// <summary>
/// The launch stubs of a shard size and an element type: kernel, grid, block and arguments for the operands' addresses, sizes and strides. They touch neither tensors nor the device. What they
/// reckon with is in the head of the source too (<see cref="CudaShardSource"/>).
/// </summary>
/// <param name="shape">The shard size and the element type's size.</param>
internal sealed class CudaShardLaunches(CudaShardShape shape)
{
    private const int Warp = 32;

    // A thread takes about four vectors; where rows are few, and a row is shared, not fewer than eight.
    private const int VectorsOfThread = 4, VectorsOfSharedThread = 8;

    private const int MostBlocksDown = 65535;

    /// <summary>r.</summary>
    public int ShardSize => shape.ShardSize;

    /// <summary>Whether a matrix is within what the kernels count with 32 bits: the columns of a row. All else has 64.</summary>
    public static bool Takes(in CudaMatrix matrix) => matrix.Columns <= int.MaxValue - CudaShardShape.ColumnsOfTile;

    /// <summary>How a launch of <see cref="ShardSum"/> is shared out.</summary>
    /// <param name="x">The matrix.</param>
    /// <param name="multiprocessors">Of the device: with fewer blocks than these, several share a row.</param>
    public CudaRowSplit SplitOfSum(in CudaMatrix x, int multiprocessors) => Split(x, multiprocessors, VectorsOfSharedThread);

    /// <summary>How a launch of <see cref="AddTiled"/> is shared out.</summary>
    /// <inheritdoc cref="SplitOfSum" path="/param"/>
    public CudaRowSplit SplitOfAdd(in CudaMatrix x, int multiprocessors) => Split(x, multiprocessors, VectorsOfThread);

    /// <summary>sum[n, j] = Σ_i x[n, i·r + j].</summary>
    /// <param name="x">(rows, in).</param>
    /// <param name="sum">(rows, r), float32, or x's type where it is to be rounded.</param>
    /// <param name="isRounded">As said.</param>
    /// <param name="split">Of <see cref="SplitOfSum"/>.</param>
    /// <param name="parts">Where blocks share rows: <see cref="CudaRowSplit.Blocks"/> · rows · r floats of scratch.</param>
    /// <param name="counters">Where blocks share rows: a zero for each <see cref="CudaRowSplit.RowBlocks"/>; zero again behind the launch.</param>
    public CudaLaunch ShardSum(in CudaMatrix x, in CudaMatrix sum, bool isRounded, in CudaRowSplit split, nint parts, nint counters) =>
        new(isRounded ? "shard_sum_rounded" : "shard_sum", split.Grid, split.Block, x.Address, x.RowStride, sum.Address, sum.RowStride, x.Rows, (int)x.Columns, split.Vectors, parts, counters);

    /// <summary>x[n, c] += gradient[n, c mod r], rounded once.</summary>
    /// <param name="gradient">(rows, r), float32.</param>
    /// <param name="x">(rows, in); updated in place.</param>
    /// <param name="split">Of <see cref="SplitOfAdd"/>.</param>
    public CudaLaunch AddTiled(in CudaMatrix gradient, in CudaMatrix x, in CudaRowSplit split) =>
        new("add_tiled", split.Grid, split.Block, gradient.Address, gradient.RowStride, x.Address, x.RowStride, x.Rows, (int)x.Columns, split.Vectors);

    /// <summary>Whether <see cref="Forward"/> and <see cref="Backward"/> take this many rows.</summary>
    public static bool AreFew(long rows) => rows is > 0 and <= CudaShardShape.MostRows;

    /// <summary>y += S D with S the shard sum of x.</summary>
    /// <param name="x">(rows, in).</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling; float32.</param>
    /// <param name="y">(rows, out); updated in place.</param>
    /// <param name="sum">S (rows, r), float32, written for a backward pass; none where there will be none.</param>
    public CudaLaunch Forward(in CudaMatrix x, in CudaMatrix shard, in CudaMatrix y, in CudaMatrix sum)
    {
        var tile = x.Rows == 1 ? 1 : shape.RowTile;
        return new(
            tile == 1 ? "forward_single_rows" : "forward_few_rows", ((uint)Blocks(x.Rows, tile), (uint)Blocks(y.Columns, CudaShardShape.ColumnsOfTile)), (CudaShardShape.Threads, 1),
            x.Address, x.RowStride, shard.Address, shard.RowStride, (int)shard.Columns, y.Address, y.RowStride, sum.Address, sum.RowStride, x.Rows, (int)x.Columns, (int)y.Columns);
    }

    /// <summary>As <see cref="Forward"/> for rows of several adapters, of any number.</summary>
    /// <param name="x">(rows, in).</param>
    /// <param name="shards">Addresses of the adapters' D, on the device.</param>
    /// <param name="adapters">For each row which of them, int64, on the device; a negative number for none.</param>
    /// <param name="shard">Columns and stride of every D.</param>
    /// <param name="y">(rows, out); updated in place.</param>
    public CudaLaunch ForwardByAdapter(in CudaMatrix x, nint shards, nint adapters, in CudaMatrix shard, in CudaMatrix y) => new(
        "forward_by_adapter", ((uint)x.Rows, (uint)Blocks(y.Columns, CudaShardShape.ColumnsOfTile)), (CudaShardShape.Threads, 1),
        x.Address, x.RowStride, shards, adapters, shard.RowStride, (int)shard.Columns, y.Address, y.RowStride, (nint)0, 0L, x.Rows, (int)x.Columns, (int)y.Columns);

    /// <summary>Floats of scratch and zeros that <see cref="Backward"/> needs.</summary>
    public (long Scratch, int Counters) BackwardScratch(in CudaMatrix dy) => (Blocks(dy.Columns, CudaShardShape.ColumnsOfTile) * dy.Rows * ShardSize, (int)Blocks(dy.Rows, shape.RowTile));

    /// <summary>dx += tile(dy Dᵀ), where the gradient of S is rounded to dx's type before it is added, and dD = Sᵀ dy.</summary>
    /// <param name="dy">(rows, out).</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling; float32.</param>
    /// <param name="sum">S (rows, r), float32.</param>
    /// <param name="dx">(rows, in); updated in place. None where x needs no gradient.</param>
    /// <param name="gradient">dD, as D; written. None where D needs no gradient.</param>
    /// <param name="scratch">As <see cref="BackwardScratch"/> says.</param>
    /// <param name="counters">Likewise; zero again behind the launch.</param>
    public CudaLaunch Backward(in CudaMatrix dy, in CudaMatrix shard, in CudaMatrix sum, in CudaMatrix dx, in CudaMatrix gradient, nint scratch, nint counters)
    {
        var ofInput = dx == CudaMatrix.None ? 0 : Blocks(dy.Rows, shape.RowTile) * Blocks(dy.Columns, CudaShardShape.ColumnsOfTile);
        var ofShard = gradient == CudaMatrix.None ? 0 : Blocks(shard.Columns, CudaShardShape.ColumnsOfTile) * Blocks(ShardSize, CudaShardShape.ShardsOfTile);
        return new(
            "backward_few_rows", ((uint)(ofInput + ofShard), 1), (CudaShardShape.Threads, 1),
            dy.Address, dy.RowStride, shard.Address, shard.RowStride, (int)shard.Columns, sum.Address, sum.RowStride, dx.Address, dx.RowStride, gradient.Address, gradient.RowStride,
            dy.Rows, (int)dx.Columns, (int)dy.Columns, scratch, counters);
    }

    /// <summary>Whether the grids of these operands are within the device's limits: all but the last hold for any size of 32-bit columns.</summary>
    public static bool FitsGrid(long rows, long outputs) => rows <= int.MaxValue && Blocks(outputs, CudaShardShape.ColumnsOfTile) <= MostBlocksDown;

    private static long Blocks(long count, int ofBlock) => (count + ofBlock - 1) / ofBlock;

    private CudaRowSplit Split(in CudaMatrix x, int multiprocessors, int vectorsOfThread)
    {
        var vectors = (int)(x.Columns / shape.Lanes);
        var threads = Warp;
        while (threads < CudaShardShape.Threads && (threads < shape.Period || threads * VectorsOfThread < vectors)) threads *= 2;
        var rowBlocks = Blocks(x.Rows, CudaShardShape.Threads / threads);
        var wanted = Math.Min(Blocks(multiprocessors, (int)Math.Clamp(rowBlocks, 1, int.MaxValue)), vectors / (threads * vectorsOfThread));
        if (wanted <= 1) return new(threads, rowBlocks, 1, vectors);
        var share = (int)(Blocks(Blocks(vectors, (int)wanted), shape.Period) * shape.Period);
        return new(threads, rowBlocks, Math.Max(1, (int)Blocks(vectors, share)), share);
    }
}

/// <summary>How rows are shared out over blocks.</summary>
/// <param name="Threads">Threads of a row.</param>
/// <param name="RowBlocks">Blocks down the rows.</param>
/// <param name="Blocks">Blocks that share each row.</param>
/// <param name="Vectors">Vectors of a row that one of these takes.</param>
internal readonly record struct CudaRowSplit(int Threads, long RowBlocks, int Blocks, int Vectors)
{
    /// <summary>The grid.</summary>
    public (uint X, uint Y) Grid => ((uint)RowBlocks, (uint)Blocks);

    /// <summary>The block.</summary>
    public (uint X, uint Y) Block => ((uint)Threads, (uint)(CudaShardShape.Threads / Threads));
}
