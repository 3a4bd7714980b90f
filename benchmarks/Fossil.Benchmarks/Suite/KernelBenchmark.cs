using System.Reflection;
using Fossil;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

[assembly: FossilShardSizes(1, 4, 8, 16, 32, 64, 128, 256)]

namespace Fossil.Benchmarks;

/// <summary>Generated kernels against libtorch's operations, for each shard size, on (1024, 1536).</summary>
internal static class KernelBenchmark
{
    private const long Rows = 1024, InFeatures = 1536;

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        var sizes = typeof(KernelBenchmark).Assembly.GetCustomAttribute<FossilShardSizesAttribute>()!.Sizes;
        return from dtype in (ScalarType[])[float32, bfloat16] from size in sizes from row in Run(context, dtype, ShardKernelRegistry.Find(size)!) select row;
    }

    private static IEnumerable<BenchmarkRow> Run(SuiteContext context, ScalarType dtype, IShardKernels kernels)
    {
        using var scope = NewDisposeScope();
        var r = kernels.ShardSize;
        var x = randn(Rows, InFeatures).to(dtype);
        var (sum, shardGradient) = (empty(Rows, r), randn(Rows, r));
        var spreads = Turns.Take(
            context.Rounds(60),
            Turns.Microseconds(() => kernels.TryShardSum(x, sum)),
            Turns.Microseconds(() => ShardOperations.SumByOperations(x, sum)),
            Turns.Microseconds(() => kernels.TryAddTiled(shardGradient, x)),
            Turns.Microseconds(() => ShardOperations.AddTiledByOperations(x, shardGradient)));
        return [Row("sum", spreads[0], spreads[1]), Row("tile", spreads[2], spreads[3])];

        BenchmarkRow Row(string operation, Spread own, Spread plain) =>
            new("kernels", $"{operation} r={r}, {dtype.ToString().ToLowerInvariant()}", "µs", own, null, plain, null, [new("libtorch", own.Median / plain.Median, 1)]);
    }
}
