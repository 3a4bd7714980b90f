using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>Which code runs the shard sum and the tiled gradient of a shard size: generated kernels or libtorch's operations.</summary>
internal static class KernelChoice
{
    private static readonly ConcurrentDictionary<int, IShardKernels> Generated = [];
    private static readonly ConcurrentDictionary<int, bool> Reported = [];

    /// <summary>Makes generated kernels known. They serve every layer with their shard size, wherever it was declared.</summary>
    public static void Register(IShardKernels kernels) => Generated.TryAdd(kernels.ShardSize, kernels);

    /// <summary>Says once for each shard size that no kernels were generated for it.</summary>
    public static void ReportMissing(int shardSize)
    {
        if (Generated.ContainsKey(shardSize) || !Reported.TryAdd(shardSize, true)) return;
        FossilWarnings.Report(
            $"No kernels were generated for shard size {shardSize}, so it runs through libtorch's operations, which is slower. To generate them, name the size in an attribute: [FossilAdapt(…, ShardSize = {shardSize})].");
    }

    /// <summary>What makes the shard sum of a tensor of <paramref name="dtype"/>; null for libtorch's operations.</summary>
    public static IShardKernels? ForShardSum(int shardSize, ScalarType dtype) => Generated.GetValueOrDefault(shardSize);

    /// <summary>What adds the tiled gradient to a tensor of <paramref name="dtype"/>; null for libtorch's operations.</summary>
    public static IShardKernels? ForAddTiled(int shardSize, ScalarType dtype) => Generated.GetValueOrDefault(shardSize);
}
