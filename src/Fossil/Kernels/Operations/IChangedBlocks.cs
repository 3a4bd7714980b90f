using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>W' = W + W_ij D_i + D_i for each r×r block W_ij of W, with products in 16 bits and sums in float32, rounded once.</summary>
internal interface IChangedBlocks
{
    /// <param name="changed">W' (out, in), in 16 bits, without gaps; written.</param>
    /// <param name="weight">W, as W'.</param>
    /// <param name="shard">The D_i below each other (out, r), float32; r divides both widths.</param>
    bool TryApply(in KernelMatrix changed, in KernelMatrix weight, in KernelMatrix shard);
}
