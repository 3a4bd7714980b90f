using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>Consecutive rows of a matrix: of an input that is flattened to two dimensions, or of a weight.</summary>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
internal readonly record struct RowRange(long Start, long Count)
{
    /// <summary>All rows of <paramref name="input"/> (…, in).</summary>
    public static RowRange All(Tensor input) => new(0, input.dim() == 0 || input.size(-1) == 0 ? ShardOperations.Rows(input.shape) : input.numel() / input.size(-1));

    /// <summary><paramref name="all"/> rows in pieces of <paramref name="count"/>, the last of what is left.</summary>
    public static IEnumerable<RowRange> Pieces(long all, long count)
    {
        for (var start = 0L; start < all; start += count) yield return new RowRange(start, Math.Min(count, all - start));
    }

    /// <summary>These rows of <paramref name="matrix"/>, which has all: itself, or a view.</summary>
    public Tensor Of(Tensor matrix) => Along(matrix, 0);

    /// <summary>The columns of <paramref name="matrix"/> with these numbers: what rows of a weight are in an output.</summary>
    public Tensor ColumnsOf(Tensor matrix) => Along(matrix, 1);

    /// <summary><paramref name="part"/> (count, …), which has these rows, among <paramref name="all"/>: itself, or a new tensor whose other rows are zero.</summary>
    public Tensor Padded(Tensor part, long all)
    {
        if (Count == all) return part;
        var padded = zeros(all, part.size(1), dtype: part.dtype, device: part.device);
        using var rows = Of(padded).alias();
        rows.copy_(part);
        return padded;
    }

    private Tensor Along(Tensor matrix, int dimension) => Count == matrix.size(dimension) ? matrix : matrix.narrow(dimension, Start, Count);
}
