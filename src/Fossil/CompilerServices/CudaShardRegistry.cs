using System.Collections.Concurrent;
using System.ComponentModel;
using Fossil.Cuda;
using Fossil.Kernels;

namespace Fossil.CompilerServices;

/// <summary>The CUDA kernels of the process by shard size: what was generated for an assembly, and what the run time makes itself for a shard size that nobody named.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CudaShardRegistry
{
    private static readonly ConcurrentDictionary<int, ICudaShardKernels> Generated = [];

    private static readonly ConcurrentDictionary<int, ICudaShardKernels> Others = [];

    /// <summary>
    /// Makes the kernels of a shard size known. Of several assemblies with one size, whose kernels say the same, the first is taken; what was generated for another version of this library is left out:
    /// a source and its launches are settled between a version and its generator.
    /// </summary>
    public static void Register(ICudaShardKernels kernels)
    {
        if (ShardKernelRegistry.IsOfThisVersion(kernels.GetType().Assembly)) Generated.TryAdd(kernels.ShardSize, kernels);
    }

    /// <summary>The kernels for a shard size.</summary>
    internal static ICudaShardKernels Of(int shardSize) => Generated.GetValueOrDefault(shardSize) ?? Others.GetOrAdd(shardSize, static size => new CudaShardStubs(size));
}
