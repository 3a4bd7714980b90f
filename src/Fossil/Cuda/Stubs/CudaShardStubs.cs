using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>
/// The CUDA kernels of a shard size that no assembly has brought. For those that a project names the generator writes a class with the launch stubs below, in which the names above them are constants;
/// so both are this text.
/// </summary>
internal sealed class CudaShardStubs(int shardSize) : ICudaShardKernels
{
    private const int Threads = CudaShardShape.Threads, MostRows = CudaShardShape.MostRows, ColumnsOfTile = CudaShardShape.ColumnsOfTile, ShardsOfTile = CudaShardShape.ShardsOfTile;

    private const int TensorRows = CudaShardShape.TensorRows, TensorColumns = CudaShardShape.TensorColumns, TensorPart = CudaShardShape.TensorPart, TensorShards = CudaShardShape.TensorShards, TensorGradient = CudaShardShape.TensorGradient;

    private readonly CudaShardShape floats = new(shardSize, sizeof(float)), halves = new(shardSize, sizeof(ushort));

    public int ShardSize { get; } = shardSize;

    private int PeriodOfFloats => floats.Period;

    private int PeriodOfHalves => halves.Period;

    private int RowsOfFloats => floats.RowTile;

    private int RowsOfHalves => halves.RowTile;

    public string? Source(ScalarType elementType) => CudaElement.Find(elementType) is { } element ? CudaShardSource.Of(ShardSize, element) : null;

    #region Launch stubs

    /// <summary>sum[n, j] = Σ_i x[n, i·ShardSize + j], rounded where the sum's elements have 16 bits.</summary>
    public bool TryShardSum(CudaQueue queue, in CudaMatrix x, in CudaMatrix sum)
    {
        if (sum.Columns != ShardSize || sum.Rows != x.Rows || !x.HasCountableColumns) return false;
        if (x.Rows == 0) return true;

        // A block has several rows, and threads for each of them side by side. Where rows are few, blocks share them, and the last one adds up what the others left in scratch.
        CudaRowSplit split = SplitOf(queue, x, 8);
        if (!CudaGrid.Fits(split.Grid)) return false;
        nint parts = queue.Scratch(split.Blocks > 1 ? split.Blocks * x.Rows * ShardSize : 0);
        nint counters = queue.Counters(split.Blocks > 1 ? split.RowBlocks : 0);
        queue.Launch(
            sum.ElementSize == sizeof(float) ? "shard_sum" : "shard_sum_rounded", split.Grid, split.Block,
            x.Address, x.RowStride, sum.Address, sum.RowStride, x.Rows, (int)x.Columns, split.Vectors, parts, counters);
        return true;
    }

    /// <summary>x[n, c] += gradient[n, c mod ShardSize].</summary>
    public bool TryAddTiled(CudaQueue queue, in CudaMatrix gradient, in CudaMatrix x, bool rounds, bool adds)
    {
        if (gradient.Columns != ShardSize || gradient.Rows != x.Rows || !x.HasCountableColumns) return false;
        if (x.Rows == 0 || x.Columns == 0) return true;

        CudaRowSplit split = SplitOf(queue, x, 4);
        if (!CudaGrid.Fits(split.Grid)) return false;
        queue.Launch("add_tiled", split.Grid, split.Block, gradient.Address, gradient.RowStride, x.Address, x.RowStride, x.Rows, (int)x.Columns, rounds, adds, split.Vectors);
        return true;
    }

    /// <summary>y += S D with S the shard sum of x, which stays in shared memory.</summary>
    public bool TryForward(CudaQueue queue, in CudaMatrix x, in CudaMatrix shard, in CudaMatrix y, in CudaMatrix sum, bool isRounded, bool adds)
    {
        if (!AreFew(x, y) || !IsTileOf(shard, y)) return false;
        if (x.Rows == 0) return true;

        // Each block makes S of its rows, and a tile of y. A single row leaves tensor cores nothing to do.
        bool isSingle = x.Rows == 1;
        bool hasTensorCores = isRounded && !isSingle && x.ElementSize < sizeof(float);
        int rows = isSingle ? 1 : hasTensorCores ? TensorRows : RowsOf(x);
        (long X, long Y) grid = (CudaGrid.Blocks(x.Rows, rows), CudaGrid.Blocks(y.Columns, hasTensorCores ? TensorColumns : ColumnsOfTile));
        if (!CudaGrid.Fits(grid)) return false;
        queue.Launch(
            isSingle ? "forward_single_rows" : hasTensorCores ? "forward_few_rounded" : "forward_few_rows", grid, (Threads, 1),
            x.Address, x.RowStride, shard.Address, shard.RowStride, (int)shard.Columns, y.Address, y.RowStride, sum.Address, sum.RowStride, x.Rows, (int)x.Columns, (int)y.Columns, adds);
        return true;
    }

    /// <summary>y += S D, where each row has the D of its adapter.</summary>
    public bool TryForwardByAdapter(CudaQueue queue, in CudaMatrix x, nint shards, nint adapters, in CudaMatrix shard, in CudaMatrix y)
    {
        (long X, long Y) grid = (x.Rows, CudaGrid.Blocks(y.Columns, ColumnsOfTile));
        if (!ArePair(x, y) || !IsTileOf(shard, y) || !CudaGrid.Fits(grid)) return false;
        queue.Launch(
            "forward_by_adapter", grid, (Threads, 1),
            x.Address, x.RowStride, shards, adapters, shard.RowStride, (int)shard.Columns, y.Address, y.RowStride, x.Rows, (int)x.Columns, (int)y.Columns);
        return true;
    }

    /// <summary>dx += tile(dy Dᵀ) and dD = Sᵀ dy.</summary>
    public bool TryBackward(CudaQueue queue, in CudaMatrix dy, in CudaMatrix shard, in CudaMatrix sum, in CudaMatrix dx, in CudaMatrix gradient, bool isRounded, bool adds)
    {
        if (!AreFew(dy, dx.Address == 0 ? dy : dx) || !IsTileOf(shard, dy) || sum.Columns != ShardSize || sum.Rows != dy.Rows) return false;

        // The first blocks make dy Dᵀ, each for some rows and a part of their columns; the last one of these rows adds up the parts and goes on with dx. Those behind them make a tile of dD each.
        bool hasTensorCores = isRounded && dy.Rows > 1 && dy.ElementSize < sizeof(float);
        int rows = hasTensorCores ? TensorRows : RowsOf(dy);
        long parts = CudaGrid.Blocks(dy.Columns, hasTensorCores ? TensorPart : ColumnsOfTile), tiles = CudaGrid.Blocks(dy.Rows, rows);
        long ofShard = hasTensorCores
            ? CudaGrid.Blocks(shard.Columns, TensorGradient) * CudaGrid.Blocks(ShardSize, TensorShards)
            : CudaGrid.Blocks(shard.Columns, ColumnsOfTile) * CudaGrid.Blocks(ShardSize, ShardsOfTile);
        (long X, long Y) grid = ((dx.Address == 0 ? 0 : tiles * parts) + (gradient.Address == 0 ? 0 : ofShard), 1);
        if (!CudaGrid.Fits(grid)) return false;
        queue.Launch(
            hasTensorCores ? "backward_few_rounded" : "backward_few_rows", grid, (Threads, 1),
            dy.Address, dy.RowStride, shard.Address, shard.RowStride, (int)shard.Columns, sum.Address, sum.RowStride, dx.Address, dx.RowStride, gradient.Address, gradient.RowStride,
            dy.Rows, (int)dx.Columns, (int)dy.Columns, adds, queue.Scratch(dx.Address == 0 ? 0 : parts * dy.Rows * ShardSize), queue.Counters(dx.Address == 0 ? 0 : tiles));
        return true;
    }

    private CudaRowSplit SplitOf(CudaQueue queue, in CudaMatrix x, int fewest) => CudaRowSplit.Of(x, x.ElementSize == sizeof(float) ? PeriodOfFloats : PeriodOfHalves, Threads, fewest, queue.Multiprocessors);

    private int RowsOf(in CudaMatrix x) => x.ElementSize == sizeof(float) ? RowsOfFloats : RowsOfHalves;

    private static bool AreFew(in CudaMatrix one, in CudaMatrix other) => one.Rows <= MostRows && ArePair(one, other);

    private static bool ArePair(in CudaMatrix one, in CudaMatrix other) => one.Rows == other.Rows && one.ElementSize == other.ElementSize && one.HasCountableColumns && other.HasCountableColumns;

    private bool IsTileOf(in CudaMatrix shard, in CudaMatrix wide) => shard.Rows == ShardSize && shard.Columns > 0 && wide.Columns % shard.Columns == 0;

    #endregion
}
