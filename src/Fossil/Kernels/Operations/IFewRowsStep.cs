using Fossil.CompilerServices;
using Fossil.Cuda;

namespace Fossil.Kernels;

/// <summary>Both passes of y += S D for few rows, each in one launch, on devices where a launch costs more than the work.</summary>
internal interface IFewRowsStep
{
    /// <summary>Rows from which on it is not asked.</summary>
    const int MostRows = CudaShardShape.MostRows;

    /// <summary>S = the shard sum of x, y += S D.</summary>
    /// <param name="output">y (rows, out); updated in place.</param>
    /// <param name="input">x (rows, in), as the output.</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling; float32.</param>
    /// <param name="sum">S (rows, r), float32; written.</param>
    bool TryForward(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, in KernelMatrix sum);

    /// <summary>dx += tile(dS) with dS = dy Dᵀ rounded to dx's dtype, dD = Sᵀ dy.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="shard">D, as forward.</param>
    /// <param name="sum">S, as forward.</param>
    /// <param name="inputGradient">dx (rows, in), as dy; updated in place.</param>
    /// <param name="shardGradient">dD, as D; written.</param>
    bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient);
}
