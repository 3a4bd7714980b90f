using System.Collections.Concurrent;
using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Which code runs the shard sum and the tiled gradient of a shard size: generated kernels or libtorch's operations.</summary>
/// <remarks>
/// Measured for r from 1 to 256 (docs/performance.md): the generated kernels take 0.26 to 0.69 times libtorch's time for the sum in float32, 0.12 to 0.22 in bfloat16,
/// and 0.02 to 0.70 for the tiled gradient. There is no size at which libtorch wins, so the kernels run wherever they were generated and their launch stub takes the tensors.
/// </remarks>
internal static class KernelChoice
{
    private static readonly ConcurrentDictionary<int, bool> Reported = [];

    /// <summary>Says once for each shard size that no kernels were generated for it.</summary>
    public static void ReportMissing(int shardSize)
    {
        if (For(shardSize) is not null || !Reported.TryAdd(shardSize, true)) return;
        FossilWarnings.Report(
            $"No kernels were generated for shard size {shardSize}, so it runs through libtorch's operations, which is slower. To generate them, write in your project: [assembly: FossilShardSizes({shardSize})]");
    }

    /// <summary>The kernels for <paramref name="shardSize"/>; null for libtorch's operations.</summary>
    public static IShardKernels? For(int shardSize) => ShardKernelRegistry.Find(shardSize);
}
