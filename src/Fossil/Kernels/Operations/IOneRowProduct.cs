using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y = W x for a single row, and y = W x + S D, base and adapter in one.</summary>
internal interface IOneRowProduct
{
    /// <param name="output">y (1, out); written.</param>
    /// <param name="input">x (1, in), as the output.</param>
    /// <param name="weight">W (out, in), as the output.</param>
    bool TryRun(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight);

    /// <param name="output">y (1, out); written.</param>
    /// <param name="input">x (1, in), as the output.</param>
    /// <param name="weight">W (out, in), as the output.</param>
    /// <param name="shard">D (r, out), float32.</param>
    bool TryRun(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight, in KernelMatrix shard);
}
