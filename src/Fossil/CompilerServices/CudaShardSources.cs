using System.Collections.Concurrent;
using System.ComponentModel;
using System.Reflection;
using Fossil.Cuda;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>CUDA C by shard size: what was generated for an assembly, and what the run time makes itself for a shard size that nobody named.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CudaShardSources
{
    private static readonly ConcurrentDictionary<int, Func<ScalarType, string?>> Generated = [];

    /// <summary>
    /// Makes the source of a shard size known. Of several assemblies with one size, whose sources say the same, the first is taken; one that was generated for another version of this library is left out:
    /// launches reckon with what this version's source says.
    /// </summary>
    /// <param name="shardSize">The shard size.</param>
    /// <param name="assembly">The assembly that it was generated for.</param>
    /// <param name="source">The source for an element type, or null.</param>
    public static void Register(int shardSize, Assembly assembly, Func<ScalarType, string?> source)
    {
        if (ShardKernelRegistry.IsOfThisVersion(assembly)) Generated.TryAdd(shardSize, source);
    }

    /// <summary>The source for a shard size and an element type.</summary>
    internal static string Of(int shardSize, CudaElement element) => Generated.GetValueOrDefault(shardSize)?.Invoke(Enum.Parse<ScalarType>(element.Name)) ?? CudaShardSource.Of(shardSize, element);
}
