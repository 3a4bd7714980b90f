using System.Reflection;
using Fossil;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

[assembly: FossilShardSizes(1, 4, 8, 16, 32, 64, 128, 256)]

namespace Fossil.Benchmarks;

/// <summary>Generated kernels against libtorch's operations, for each shard size: what <c>ShardKernelRegistry</c> goes by.</summary>
internal static class KernelBenchmark
{
    private const long Rows = 1024;
    private const long InFeatures = 1536;

    public static void Run()
    {
        var sizes = typeof(KernelBenchmark).Assembly.GetCustomAttribute<FossilShardSizesAttribute>()!.Sizes;
        Console.WriteLine($"kernels: ({Rows}, {InFeatures}); µs, medians of alternating runs");
        Console.WriteLine($"{"dtype",-9} {"r",4} {"sum: libtorch",14} {"kernel",8} {"ratio",6}   {"tile: libtorch",14} {"kernel",8} {"ratio",6}");
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var kernels in sizes.Select(size => ShardKernelRegistry.Find(size)!)) Run(dtype, kernels);
        }
    }

    private static void Run(ScalarType dtype, IShardKernels kernels)
    {
        using var scope = NewDisposeScope();
        var r = kernels.ShardSize;
        var x = randn(Rows, InFeatures).to(dtype);
        var sum = empty(Rows, r);
        var shardGradient = randn(Rows, r);
        var times = Timing.Medians(
            101,
            () => ShardOperations.SumByOperations(x, sum),
            () => kernels.TryShardSum(x, sum),
            () => ShardOperations.AddTiledByOperations(x, shardGradient),
            () => kernels.TryAddTiled(shardGradient, x));
        Console.WriteLine($"{dtype,-9} {r,4} {times[0] * 1e3,14:F0} {times[1] * 1e3,8:F0} {times[1] / times[0],6:F2}   {times[2] * 1e3,14:F0} {times[3] * 1e3,8:F0} {times[3] / times[2],6:F2}");
    }
}
