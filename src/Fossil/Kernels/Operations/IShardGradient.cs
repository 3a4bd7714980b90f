using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>dD = Sᵀ dy.</summary>
internal interface IShardGradient
{
    /// <summary>In float32 whatever dy's dtype.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="sum">S (rows, r), float32.</param>
    /// <param name="shardGradient">dD (r, out), float32; written.</param>
    bool TryShardGradient(in KernelMatrix gradOutput, in KernelMatrix sum, in KernelMatrix shardGradient);
}
