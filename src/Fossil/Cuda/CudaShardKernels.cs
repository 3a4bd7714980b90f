using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>
/// The kernels of shard sizes on CUDA devices, as kernels of the operations: they bring operands and scratch to the launch stubs. Both passes of a step are one launch each for few rows, and a kernel
/// and products by cuBLAS for many.
/// </summary>
internal sealed class CudaShardKernels(CudaRuntime runtime, CudaScratch scratch) : IShardSum, ITiledAdd, IFewRowsProduct, IShardStep, IMixedRows
{
    private readonly ConcurrentDictionary<(int ShardSize, ScalarType ElementType), Kernels?> kernels = [];
    private readonly CudaProducts products = new(runtime);

    private delegate bool Stub(ICudaShardKernels stubs, CudaQueue queue);

    public bool TryShardSum(in KernelMatrix input, in KernelMatrix sum)
    {
        var (x, to) = (CudaMatrix.Of(input), CudaMatrix.Of(sum));
        return (sum.ElementType == ScalarType.Float32 || sum.ElementType == input.ElementType) && !sum.RowsOverlap && TryRun(input, sum.Columns, (stubs, queue) => stubs.TryShardSum(queue, x, to));
    }

    public bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient) => TryAddTiled(shardGradient, inputGradient, rounds: false, adds: true);

    public bool TryAddOfFewRows(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard) => TryForwardOfFew(output, input, shard, CudaMatrix.None, isRounded: false, adds: true);

    public bool TryForward(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, in KernelMatrix sum, bool isRounded, bool adds) => IShardStep.AreFew(input.Rows)
        ? sum.ElementType == ScalarType.Float32 && !sum.RowsOverlap && TryForwardOfFew(output, input, shard, CudaMatrix.Of(sum), isRounded, adds)
        : AreMany(output, shard, sum) && (shard.Columns == output.Columns
            ? TryShardSum(input, sum) && products.TryAdd(output, sum, shard, adds ? 1 : 0)
            : TryForwardOfTiling(output, input, shard, sum, adds));

    public bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient, bool isRounded, bool adds)
    {
        if (shardGradient.ElementType != ScalarType.Float32 || shardGradient.RowsOverlap || inputGradient.RowsOverlap || inputGradient.ElementType != gradOutput.ElementType) return false;
        if (!IShardStep.AreFew(gradOutput.Rows)) return AreMany(gradOutput, shard, sum) && TryBackwardOfMany(gradOutput, shard, sum, inputGradient, shardGradient, adds);
        if (sum.ElementType != ScalarType.Float32 || shard.ElementType != ScalarType.Float32) return false;
        var (dy, d, s, dx, dD) = (CudaMatrix.Of(gradOutput), CudaMatrix.Of(shard), CudaMatrix.Of(sum), CudaMatrix.Of(inputGradient), CudaMatrix.Of(shardGradient));
        return TryRun(gradOutput, shard.Rows, (stubs, queue) => stubs.TryBackward(queue, dy, d, s, dx, dD, isRounded, adds));
    }

    public bool TryAdd(in KernelMatrix output, in KernelMatrix input, ReadOnlySpan<KernelMatrix> shards, long[] adapters)
    {
        if (output.Tensor is null || output.RowsOverlap || output.ElementType != input.ElementType || adapters.Length != output.Rows) return false;
        // Addresses first, then the rows' adapters.
        var table = new long[shards.Length + adapters.Length];
        for (var i = 0; i < shards.Length; i++)
        {
            if (shards[i].ElementType != ScalarType.Float32 || (shards[i].Rows, shards[i].Columns, shards[i].RowStride) != (shards[0].Rows, shards[0].Columns, shards[0].RowStride)) return false;
            table[i] = shards[i].Address;
        }

        adapters.CopyTo(table, shards.Length);
        using var there = tensor(table, device: output.Tensor.device);
        var (y, x, d, first, count) = (CudaMatrix.Of(output), CudaMatrix.Of(input), CudaMatrix.Of(shards[0]), NativeTensor.Data(there), shards.Length);
        return TryRun(input, d.Rows, (stubs, queue) => stubs.TryForwardByAdapter(queue, x, first, first + (count * sizeof(long)), d, y));
    }

    private bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient, bool rounds, bool adds)
    {
        var (gradient, x) = (CudaMatrix.Of(shardGradient), CudaMatrix.Of(inputGradient));
        return shardGradient.ElementType == ScalarType.Float32 && !inputGradient.RowsOverlap && TryRun(inputGradient, shardGradient.Columns, (stubs, queue) => stubs.TryAddTiled(queue, gradient, x, rounds, adds));
    }

    private bool TryForwardOfFew(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, CudaMatrix sum, bool isRounded, bool adds)
    {
        var (y, x, d) = (CudaMatrix.Of(output), CudaMatrix.Of(input), CudaMatrix.Of(shard));
        return output.ElementType == input.ElementType && !output.RowsOverlap && shard.ElementType == ScalarType.Float32 && TryRun(input, shard.Rows, (stubs, queue) => stubs.TryForward(queue, x, d, y, sum, isRounded, adds));
    }

    private bool TryBackwardOfMany(in KernelMatrix gradOutput, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient, bool adds)
    {
        using var gradient = empty(gradOutput.Rows, shard.Rows, dtype: ScalarType.Float32, device: gradOutput.Tensor.device);
        var (wide, sumGradient) = (gradOutput, KernelMatrix.Of(gradient));
        if (shard.Columns == wide.Columns) return Run(wide, shard, sum, inputGradient, shardGradient);

        // Of D's tiling the tiles' gradients are added up first, and rounded as the factors are.
        using var tiles = empty(wide.Rows, shard.Columns, dtype: wide.ElementType, device: wide.Tensor.device);
        return TryShardSum(wide, KernelMatrix.Of(tiles)) && Run(KernelMatrix.Of(tiles), shard, sum, inputGradient, shardGradient);

        bool Run(in KernelMatrix dy, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient) =>
            products.TrySumGradient(dy, sumGradient, shard) && products.TryShardGradient(dy, sum, shardGradient) && TryAddTiled(sumGradient, inputGradient, rounds: true, adds);
    }

    /// <summary>y += tile(S D) for D narrower than y: the product, in float32, is added as tiles.</summary>
    private bool TryForwardOfTiling(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, in KernelMatrix sum, bool adds)
    {
        using var narrow = empty(output.Rows, shard.Columns, dtype: ScalarType.Float32, device: output.Tensor.device);
        var product = KernelMatrix.Of(narrow);
        return TryShardSum(input, sum) && products.TryAdd(product, sum, shard, beta: 0) && TryAddTiled(product, output, rounds: false, adds);
    }

    /// <summary>Whether cuBLAS makes the products of these: factors of the wide matrix's type, and D as wide as it, or a tile of it that kernels add.</summary>
    private bool AreMany(in KernelMatrix wide, in KernelMatrix shard, in KernelMatrix sum) =>
        wide.Tensor is not null && shard.ElementType == wide.ElementType && sum.ElementType == wide.ElementType && AreTiles(wide.Columns, shard.Columns) && products.Multiplies(wide);

    private static bool AreTiles(long columns, long tile) => tile == columns || (tile is > 0 and <= CudaShardShape.LargestShardSize && columns % tile == 0);

    private bool TryRun(in KernelMatrix wide, long shardSize, Stub stub)
    {
        if (shardSize is < 1 or > CudaShardShape.LargestShardSize || wide.Tensor is null) return false;
        if (kernels.GetOrAdd(((int)shardSize, wide.ElementType), static key => Kernels.Of(key.ShardSize, key.ElementType)) is not { } known) return false;
        if (runtime.Device(Math.Max(0, wide.Tensor.device_index)) is not { } device || !device.Prepare(known.Source, known.Name)) return false;
        using CudaDeviceQueue queue = new(device, known.Source, wide, scratch);
        return stub(known.Stubs, queue);
    }

    /// <summary>Stubs of a shard size, and source for an element type.</summary>
    private sealed record Kernels(string Name, string Source, ICudaShardKernels Stubs)
    {
        public static Kernels? Of(int shardSize, ScalarType elementType)
        {
            var stubs = CudaShardRegistry.Of(shardSize);
            return stubs.Source(elementType) is { } source ? new($"the kernels of shard size {shardSize} for {elementType}", source, stubs) : null;
        }
    }
}
