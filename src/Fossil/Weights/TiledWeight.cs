using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// A weight that is written out a tile of rows and columns at a time: each element once for a product, into memory that stays in the cache, from which libtorch's product takes it for all rows of the
/// input. Nothing that is written out outlives its tile, and the backward pass keeps the encoded tensors alone.
/// </summary>
internal abstract class TiledWeight : LinearWeight
{
    // Of bfloat16 1 MB a thread, which a core's second cache holds; of more threads than these, the last cache of all.
    private const long ThreadElements = 1 << 19, MostThreads = 8;

    // Narrower than this, libtorch's product is slower by more than further sums cost; and where its width is no multiple of its registers.
    private const long NarrowestTile = 256, RowMultiple = 32;

    private static long TileElements => ThreadElements * Math.Clamp(get_num_threads(), 1, MostThreads);

    public override long RowsPerTile => RowsOfPiece(TileElements / Math.Max(1, InFeatures));

    /// <summary>What the first column and the number of columns of a tile are multiples of; it divides the width.</summary>
    protected virtual long ColumnMultiple => 1;

    /// <summary>Some rows and columns of W, a new tensor (rows, columns) in <see cref="LinearWeight.Dtype"/>.</summary>
    protected abstract Tensor Tile(RowRange rows, RowRange columns);

    public sealed override Tensor Rows(long start, long count) => Tile(new(start, count), new(0, InFeatures));

    // By columns, so that each column of the result is one product, rounded once.
    public sealed override Tensor InputGradient(Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        var elements = TileElements;
        var rows = RowsOfPiece(elements / NarrowestTile);
        var columns = Math.Min(InFeatures, Math.Max(ColumnMultiple, Math.Max(NarrowestTile, elements / rows) / ColumnMultiple * ColumnMultiple));
        rows = RowsOfPiece(Math.Min(rows, elements / columns));
        if (rows == OutFeatures && columns == InFeatures) return gradOutput.mm(Rows(0, rows)).MoveToOuterDisposeScope();
        var isWhole = rows == OutFeatures;
        var gradient = isWhole ? empty(gradOutput.size(0), InFeatures, dtype: Dtype, device: gradOutput.device) : zeros(gradOutput.size(0), InFeatures, dtype: Accumulator, device: gradOutput.device);
        foreach (var down in RowRange.Pieces(OutFeatures, rows))
        {
            using var piece = NewDisposeScope();
            // A product lays its operand out side by side: once, and not for each tile.
            var some = down.ColumnsOf(gradOutput).contiguous();
            foreach (var across in RowRange.Pieces(InFeatures, columns))
            {
                using var part = NewDisposeScope();
                var product = some.mm(Tile(down, across));
                if (isWhole) across.ColumnsOf(gradient).copy_(product);
                else across.ColumnsOf(gradient).add_(product, Concurrency.Scalars.One);
            }
        }

        return gradient.to(Dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Rows of pieces of about equal size.</summary>
    /// <param name="most">The most rows of one.</param>
    private long RowsOfPiece(long most)
    {
        if (most >= OutFeatures) return OutFeatures;
        var multiple = most < RowMultiple ? 1 : RowMultiple;
        most = Math.Max(1, most / multiple * multiple);
        var pieces = (OutFeatures + most - 1) / most;
        return (((OutFeatures + pieces - 1) / pieces) + multiple - 1) / multiple * multiple;
    }

    private ScalarType Accumulator => Kernels.ShardOperations.Accumulator(Dtype);
}
