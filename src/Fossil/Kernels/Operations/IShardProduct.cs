using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y += S D.</summary>
internal interface IShardProduct
{
    /// <summary>In float32 whatever y's dtype; y is rounded once.</summary>
    /// <param name="output">y (rows, out).</param>
    /// <param name="sum">S (rows, r), float32.</param>
    /// <param name="shard">D (r, out), float32.</param>
    bool TryAdd(in KernelMatrix output, in KernelMatrix sum, in KernelMatrix shard);
}
