using System.Collections.Concurrent;
using System.ComponentModel;
using Fossil.Kernels;

namespace Fossil.CompilerServices;

/// <summary>The kernels of the process by shard size. Generated kernels register themselves when their assembly first runs.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class ShardKernelRegistry
{
    private static readonly ConcurrentDictionary<int, IShardKernels> Kernels = [];

    /// <summary>Makes kernels known. They serve every layer with their shard size, so where two assemblies bring the same size, the first are kept.</summary>
    public static void Register(IShardKernels kernels) => Kernels.TryAdd(kernels.ShardSize, kernels);

    /// <summary>The kernels for <paramref name="shardSize"/>; null where no assembly has brought any.</summary>
    internal static IShardKernels? Find(int shardSize) => Kernels.GetValueOrDefault(shardSize);
}
