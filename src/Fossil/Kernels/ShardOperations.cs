using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>
/// The pieces of shard sharing, on flattened tensors: by kernels where one takes them, by libtorch's operations otherwise. Sums are in float32
/// (float64 for float64), products in the dtype of their factors: where that is the 16-bit dtype of the output, libtorch's product is the output's accumulator. Otherwise a 16-bit tensor goes
/// through float32 a block of rows at a time, which stays in the cache; it is never converted as a whole.
/// </summary>
internal static class ShardOperations
{
    private const long BlockElements = 1 << 20;

    /// <summary>The dtype that sums over <paramref name="dtype"/> are made in.</summary>
    public static ScalarType Accumulator(ScalarType dtype) => dtype == ScalarType.Float64 ? dtype : ScalarType.Float32;

    /// <summary>How many rows a tensor of this shape has when it is flattened to two dimensions.</summary>
    public static long Rows(ReadOnlySpan<long> shape)
    {
        var rows = 1L;
        foreach (var size in shape[..^1]) rows *= size;
        return rows;
    }

    /// <summary>S[n, j] = Σ_i x[n, i·r + j]; a last, shorter chunk counts as zero-padded.</summary>
    /// <param name="input">(rows, in), contiguous.</param>
    /// <param name="shardSize">r.</param>
    /// <returns>(rows, r), float32 or float64.</returns>
    public static Tensor ShardSum(Tensor input, int shardSize)
    {
        var sum = empty(input.size(0), shardSize, dtype: Accumulator(input.dtype), device: input.device);
        if (!KernelRegistry.TryRun<IShardSum>(shardSize, [input, sum], static (kernel, m) => kernel.TryShardSum(m[0], m[1]))) SumByOperations(input, sum);
        return sum;
    }

    /// <summary>As <see cref="ShardSum"/>, into <paramref name="sum"/>.</summary>
    internal static void SumByOperations(Tensor input, Tensor sum)
    {
        using var scope = NewDisposeScope();
        foreach (var (start, count) in Blocks(input, sum.dtype))
        {
            var block = input.narrow(0, start, count).to(sum.dtype);
            var target = sum.narrow(0, start, count);
            var (whole, rest) = Chunks(block, sum.size(1));
            if (whole is null) target.zero_();
            else target.copy_(whole.sum(1));
            if (rest is not null) target.narrow(1, 0, rest.size(1)).add_(rest, Scalars.One);
        }
    }

    /// <summary>g[n, c] += s[n, c mod r], rounded once.</summary>
    /// <param name="inputGradient">(rows, in), contiguous rows; updated in place.</param>
    /// <param name="shardGradient">(rows, r), float32 or float64.</param>
    /// <param name="shardSize">r.</param>
    public static void AddTiled(Tensor inputGradient, Tensor shardGradient, int shardSize)
    {
        if (!KernelRegistry.TryRun<ITiledAdd>(shardSize, [inputGradient, shardGradient], static (kernel, m) => kernel.TryAddTiled(m[1], m[0]))) AddTiledByOperations(inputGradient, shardGradient);
    }

    /// <summary>As <see cref="AddTiled"/>.</summary>
    internal static void AddTiledByOperations(Tensor inputGradient, Tensor shardGradient)
    {
        using var scope = NewDisposeScope();
        foreach (var (start, count) in Blocks(inputGradient, shardGradient.dtype))
        {
            var target = inputGradient.narrow(0, start, count);
            var block = target.to(shardGradient.dtype);
            var source = shardGradient.narrow(0, start, count);
            var (whole, rest) = Chunks(block, shardGradient.size(1));
            whole?.add_(source.unsqueeze(1), Scalars.One);
            rest?.add_(source.narrow(1, 0, rest.size(1)), Scalars.One);
            if (target.dtype != block.dtype) target.copy_(block);
        }
    }

    /// <summary>y += Σ S D, where D stands for its tiling if it is narrower than y. In 16 bits y is rounded once, after the sum.</summary>
    /// <param name="output">(rows, out), contiguous; updated in place.</param>
    /// <param name="products">Pairs of S (rows, r), float32, float64 or as y, and D (r, out) or (r, m), all in the same dtype.</param>
    public static void AddProducts(Tensor output, IReadOnlyList<(Tensor Sum, Tensor Shard)> products)
    {
        if (products is [var only] && KernelRegistry.TryRun<IShardProduct>(only.Shard.size(0), [output, only.Sum, only.Shard], static (kernel, m) => kernel.TryAdd(m[0], m[1], m[2]))) return;

        using var scope = NewDisposeScope();
        var accumulator = products[0].Sum.dtype;
        if (products is [var narrow] && narrow.Shard.size(1) < output.size(1) && accumulator == Accumulator(output.dtype))
        {
            AddTiled(output, narrow.Sum.mm(narrow.Shard), (int)narrow.Shard.size(1));
            return;
        }

        foreach (var (start, count) in Blocks(output, accumulator))
        {
            var target = output.narrow(0, start, count);
            var total = target.dtype == accumulator ? target : zeros(target.shape, dtype: accumulator, device: target.device);
            foreach (var (sum, shard) in products)
            {
                var rows = sum.narrow(0, start, count);
                var tiles = output.size(1) / shard.size(1);
                if (tiles == 1) total.addmm_(rows, shard);
                else total.view(count, tiles, shard.size(1)).add_(rows.mm(shard).unsqueeze(1), Scalars.One);
            }

            if (target.dtype != accumulator) AddRounded(target, total);
        }
    }

    /// <summary>y += delta, rounded once.</summary>
    /// <param name="target">y (rows, columns); updated in place.</param>
    /// <param name="delta">(rows, columns).</param>
    internal static void AddRounded(Tensor target, Tensor delta)
    {
        if (!KernelRegistry.TryRun<IRoundedAdd>(0, [target, delta], static (kernel, m) => kernel.TryAdd(m[0], m[1]))) target.add_(delta, Scalars.One);
    }

    /// <summary>The gradients of one term of <see cref="AddProducts"/>: dS = dy Dᵀ and dD = Sᵀ dy, in the dtype of S and D.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="sum">S (rows, r).</param>
    /// <param name="shard">D (r, out) or (r, m), in the dtype of S.</param>
    /// <param name="needsSum">Whether dS is wanted.</param>
    /// <param name="needsShard">Whether dD is wanted.</param>
    /// <param name="shardPlace">Where dD is written, in the dtype of S; a new tensor where null.</param>
    public static (Tensor? Sum, Tensor? Shard) ProductGradients(Tensor gradOutput, Tensor sum, Tensor shard, bool needsSum, bool needsShard, Tensor? shardPlace = null)
    {
        using var scope = NewDisposeScope();
        var tiled = gradOutput.size(1) == shard.size(1) ? gradOutput : SumOfTiles(gradOutput, shard.size(1), sum.dtype);
        var (sumGradient, shardGradient) = (needsSum ? TimesTransposed(tiled, shard) : null, needsShard ? TransposedTimes(sum, tiled, shardPlace) : null);
        return (sumGradient?.MoveToOuterDisposeScope(), shardGradient?.MoveToOuterDisposeScope());
    }

    /// <summary>s·X Fᵀ (rows, r), in the dtype of F.</summary>
    /// <param name="matrix">X (rows, columns), contiguous.</param>
    /// <param name="factor">F (r, columns).</param>
    /// <param name="scale">s; other than 1 only in 16 bits.</param>
    public static Tensor TimesTransposed(Tensor matrix, Tensor factor, double scale = 1)
    {
        if (IsOfSixteenBits(matrix, factor)) return TimesTransposedOfSixteenBits(matrix, factor, scale);
        var product = empty(matrix.size(0), factor.size(0), dtype: factor.dtype, device: matrix.device);
        if (scale == 1 && KernelRegistry.TryRun<ISumGradient>(factor.size(0), [matrix, product, factor], static (kernel, m) => kernel.TrySumGradient(m[0], m[1], m[2]))) return product;
        using var scope = NewDisposeScope();
        var transposed = factor.t();
        foreach (var (start, count) in Blocks(matrix, factor.dtype)) product.narrow(0, start, count).addmm_(matrix.narrow(0, start, count).to(factor.dtype), transposed, beta: 0, alpha: (float)scale);
        return product;
    }

    /// <summary>Lᵀ X (r, columns), in the dtype of L.</summary>
    /// <param name="left">L (rows, r).</param>
    /// <param name="matrix">X (rows, columns), contiguous.</param>
    /// <param name="place">Where the product is written; a new tensor where null.</param>
    public static Tensor TransposedTimes(Tensor left, Tensor matrix, Tensor? place = null)
    {
        if (place is null && IsOfSixteenBits(matrix, left))
        {
            using var rows = left.t();
            return rows.mm(matrix);
        }

        var product = place ?? empty(left.size(1), matrix.size(1), dtype: left.dtype, device: matrix.device);
        if (KernelRegistry.TryRun<IShardGradient>(left.size(1), [matrix, left, product], static (kernel, m) => kernel.TryShardGradient(m[0], m[1], m[2]))) return product;
        using var scope = NewDisposeScope();
        var transposed = left.t();
        foreach (var (start, count) in Blocks(matrix, left.dtype)) product.addmm_(transposed.narrow(1, start, count), matrix.narrow(0, start, count).to(left.dtype), beta: start == 0 ? 0 : 1);
        if (matrix.size(0) == 0) product.zero_();
        return product;
    }

    /// <summary>Whether a product is one of libtorch's and nothing else: both factors are of the same 16-bit dtype, for which there are no kernels on the CPU.</summary>
    private static bool IsOfSixteenBits(Tensor matrix, Tensor factor) => matrix.dtype == factor.dtype && Accumulator(matrix.dtype) != matrix.dtype && matrix.device_type == TorchSharp.DeviceType.CPU;

    private static Tensor TimesTransposedOfSixteenBits(Tensor matrix, Tensor factor, double scale)
    {
        using var transposed = factor.t();
        if (scale == 1) return matrix.mm(transposed);
        var product = empty(matrix.size(0), factor.size(0), dtype: factor.dtype, device: matrix.device);
        product.addmm_(matrix, transposed, beta: 0, alpha: (float)scale);
        return product;
    }

    /// <summary>Σ_t y[n, t·m + c] (rows, m).</summary>
    private static Tensor SumOfTiles(Tensor matrix, long width, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var sum = ShardSum(matrix, (int)width);
        return sum.to(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The chunks of r columns as (rows, n, r), and what is left over; both views.</summary>
    private static (Tensor? Whole, Tensor? Remainder) Chunks(Tensor rows, long shardSize)
    {
        var (count, width) = (rows.size(0), rows.size(1));
        var (chunks, rest) = Math.DivRem(width, shardSize);
        return (chunks == 0 ? null : rows.narrow(1, 0, chunks * shardSize).view(count, chunks, shardSize),
            rest == 0 ? null : rows.narrow(1, chunks * shardSize, rest));
    }

    /// <summary>All rows at once where no conversion is needed, blocks of rows otherwise.</summary>
    public static IEnumerable<(long Start, long Count)> Blocks(Tensor tensor, ScalarType accumulator)
    {
        var (rows, width) = (tensor.size(0), tensor.size(1));
        var block = tensor.dtype == accumulator ? rows : Math.Max(16, BlockElements / Math.Max(1, width));
        for (var start = 0L; start < rows; start += block) yield return (start, Math.Min(block, rows - start));
    }
}
