using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>dS = dy Dᵀ.</summary>
internal interface ISumGradient
{
    /// <summary>In float32 whatever dy's dtype.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="sumGradient">dS (rows, r), float32; written.</param>
    /// <param name="shard">D (r, out), float32.</param>
    bool TrySumGradient(in KernelMatrix gradOutput, in KernelMatrix sumGradient, in KernelMatrix shard);
}
