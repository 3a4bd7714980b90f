using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>The kernels of shard sizes on CUDA devices, as kernels of the operations: they choose source and launch, and bring scratch from libtorch's allocator.</summary>
internal sealed class CudaShardKernels(CudaRuntime runtime, CudaScratch scratch) : IShardSum, ITiledAdd, IFewRowsProduct, IFewRowsStep
{
    private readonly ConcurrentDictionary<(int ShardSize, ScalarType ElementType), Kernels?> kernels = [];

    public bool TryShardSum(in KernelMatrix input, in KernelMatrix sum)
    {
        if (sum.ElementType != ScalarType.Float32 || sum.RowsOverlap || !TryFind(input, sum.Columns, out var found, out var device)) return false;
        var (x, to) = (Matrix(input), Matrix(sum));
        if (x.Rows == 0) return true;
        var split = found.Launches.SplitOfSum(x, device.Multiprocessors);
        if (!CudaShardLaunches.FitsGrid(split.RowBlocks, 0)) return false;
        using var parts = CudaScratch.Of(input, split.Blocks > 1 ? split.Blocks * x.Rows * sum.Columns : 0);
        device.Launch(found.Source, found.Launches.ShardSum(x, to, isRounded: false, split, CudaScratch.Address(parts), scratch.Counters(input, split.Blocks > 1 ? split.RowBlocks : 0)));
        return true;
    }

    public bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient)
    {
        if (shardGradient.ElementType != ScalarType.Float32 || inputGradient.RowsOverlap || !TryFind(inputGradient, shardGradient.Columns, out var found, out var device)) return false;
        var x = Matrix(inputGradient);
        if (x.Rows == 0 || x.Columns == 0) return true;
        var split = found.Launches.SplitOfAdd(x, device.Multiprocessors);
        if (!CudaShardLaunches.FitsGrid(split.RowBlocks, 0)) return false;
        device.Launch(found.Source, found.Launches.AddTiled(Matrix(shardGradient), x, split));
        return true;
    }

    public bool TryAddOfFewRows(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard)
    {
        if (!TryFindFew(output, input, shard, out var found, out var device)) return false;
        device.Launch(found.Source, found.Launches.Forward(Matrix(input), Matrix(shard), Matrix(output), CudaMatrix.None));
        return true;
    }

    public bool TryForward(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, in KernelMatrix sum)
    {
        if (sum.ElementType != ScalarType.Float32 || !TryFindFew(output, input, shard, out var found, out var device)) return false;
        device.Launch(found.Source, found.Launches.Forward(Matrix(input), Matrix(shard), Matrix(output), Matrix(sum)));
        return true;
    }

    public bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient)
    {
        if (sum.ElementType != ScalarType.Float32 || shardGradient.ElementType != ScalarType.Float32 || !TryFindFew(inputGradient, gradOutput, shard, out var found, out var device)) return false;
        var dy = Matrix(gradOutput);
        var (floats, counts) = found.Launches.BackwardScratch(dy);
        using var parts = CudaScratch.Of(gradOutput, floats);
        device.Launch(found.Source, found.Launches.Backward(dy, Matrix(shard), Matrix(sum), Matrix(inputGradient), Matrix(shardGradient), CudaScratch.Address(parts), scratch.Counters(gradOutput, counts)));
        return true;
    }

    private static CudaMatrix Matrix(in KernelMatrix matrix) => new(matrix.Address, matrix.Rows, matrix.Columns, matrix.RowStride);

    private bool TryFindFew(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, out Kernels found, out CudaDevice device)
    {
        (found, device) = (null!, null!);
        return CudaShardLaunches.AreFew(input.Rows) && output.Rows == input.Rows && output.ElementType == input.ElementType && !output.RowsOverlap && shard.ElementType == ScalarType.Float32
            && CudaShardLaunches.FitsGrid(input.Rows, Math.Max(output.Columns, input.Columns)) && CudaShardLaunches.Takes(Matrix(output)) && TryFind(input, shard.Rows, out found, out device);
    }

    private bool TryFind(in KernelMatrix wide, long shardSize, out Kernels found, out CudaDevice device)
    {
        (found, device) = (null!, null!);
        if (shardSize is < 1 or > CudaShardShape.LargestShardSize || wide.Tensor is null || !CudaShardLaunches.Takes(Matrix(wide))) return false;
        if (kernels.GetOrAdd(((int)shardSize, wide.ElementType), static key => Kernels.Of(key.ShardSize, key.ElementType)) is not { } known) return false;
        if (runtime.Device(Math.Max(0, wide.Tensor.device_index)) is not { } there || !there.Prepare(known.Source, known.Name)) return false;
        (found, device) = (known, there);
        return true;
    }

    /// <summary>Source and launches of a shard size and an element type.</summary>
    private sealed record Kernels(string Name, string Source, CudaShardLaunches Launches)
    {
        public static Kernels? Of(int shardSize, ScalarType elementType) => CudaElement.All.FirstOrDefault(element => element.Name == elementType.ToString()) is { } element
            ? new($"the kernels of shard size {shardSize} for {element.CudaType}", CudaShardSources.Of(shardSize, element), new(new(shardSize, element.Size)))
            : null;
    }
}
