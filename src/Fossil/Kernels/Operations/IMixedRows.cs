using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y += S D for a few rows of several adapters, each row with its adapter's D, in one launch; the size is the shard size, which all have. There is no backward pass.</summary>
internal interface IMixedRows
{
    /// <summary>Up to how many rows it is asked.</summary>
    const int MostRows = 64;

    /// <param name="output">y (rows, out); updated in place.</param>
    /// <param name="input">x (rows, in), as the output.</param>
    /// <param name="shards">The adapters' D (r, out), or (r, m) for their tiling; float32.</param>
    /// <param name="adapters">For each row which of them; a negative number for none.</param>
    bool TryAdd(in KernelMatrix output, in KernelMatrix input, ReadOnlySpan<KernelMatrix> shards, long[] adapters);
}
