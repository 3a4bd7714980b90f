using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// A weight that is written out a tile of rows and columns at a time: each element once for a product, into memory that stays in the cache, from which libtorch's product takes it for all rows of the
/// input. Nothing that is written out outlives its tile, and the backward pass keeps the encoded tensors alone.
/// </summary>
internal abstract class TiledWeight : LinearWeight
{
    // Of bfloat16 1 MB, which a core's second cache holds.
    private const long TileElements = 1 << 19;

    // Narrower than this, libtorch's product is slower by more than further sums cost.
    private const long NarrowestTile = 256;

    public override long RowsPerTile => Math.Max(1, TileElements / Math.Max(1, InFeatures));

    /// <summary>What the first column and the number of columns of a tile are multiples of; it divides the width.</summary>
    protected virtual long ColumnMultiple => 1;

    /// <summary>Some rows and columns of W, a new tensor (rows, columns) in <see cref="LinearWeight.Dtype"/>.</summary>
    protected abstract Tensor Tile(RowRange rows, RowRange columns);

    public sealed override Tensor Rows(long start, long count) => Tile(new(start, count), new(0, InFeatures));

    // By columns, so that each column of the result is one product, rounded once.
    public sealed override Tensor InputGradient(Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        var rows = Math.Min(OutFeatures, TileElements / NarrowestTile);
        var columns = Math.Max(NarrowestTile, TileElements / rows) / ColumnMultiple * ColumnMultiple;
        columns = Math.Min(InFeatures, Math.Max(columns, ColumnMultiple));
        rows = Math.Max(1, Math.Min(OutFeatures, TileElements / columns));
        var isWhole = rows == OutFeatures;
        var gradient = isWhole ? empty(gradOutput.size(0), InFeatures, dtype: Dtype, device: gradOutput.device) : zeros(gradOutput.size(0), InFeatures, dtype: Accumulator, device: gradOutput.device);
        foreach (var across in RowRange.Pieces(InFeatures, columns))
        {
            foreach (var down in RowRange.Pieces(OutFeatures, rows))
            {
                using var part = NewDisposeScope();
                var product = down.ColumnsOf(gradOutput).mm(Tile(down, across));
                if (isWhole) across.ColumnsOf(gradient).copy_(product);
                else across.ColumnsOf(gradient).add_(product, Concurrency.Scalars.One);
            }
        }

        return gradient.to(Dtype).MoveToOuterDisposeScope();
    }

    private ScalarType Accumulator => Kernels.ShardOperations.Accumulator(Dtype);
}
