using Fossil.CompilerServices;
using Fossil.Cuda;

namespace Fossil.Kernels;

/// <summary>Both passes of y += S D, each in as few launches as can be, on devices where a launch costs as much as the work of a small one.</summary>
internal interface IShardStep
{
    /// <summary>
    /// Whether this many rows are few. Then S and D are float32 whatever the dtype of the product's factors: they are rounded on the way. Where rows are many, S and D are of that dtype.
    /// </summary>
    static bool AreFew(long rows) => rows <= CudaShardShape.MostRows;

    /// <summary>S = the shard sum of x, y += S D.</summary>
    /// <param name="output">y (rows, out); updated in place.</param>
    /// <param name="input">x (rows, in), as the output.</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling.</param>
    /// <param name="sum">S (rows, r); written.</param>
    /// <param name="isRounded">Whether the factors are rounded to y's dtype.</param>
    /// <param name="adds">Whether the product is added; y is written and not read otherwise.</param>
    bool TryForward(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard, in KernelMatrix sum, bool isRounded, bool adds);

    /// <summary>dx += tile(dS) with dS = dy Dᵀ rounded to dx's dtype, dD = Sᵀ dy.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="shard">D, as forward.</param>
    /// <param name="sum">S, as forward.</param>
    /// <param name="inputGradient">dx (rows, in), as dy; updated in place.</param>
    /// <param name="shardGradient">dD, as D, float32; written.</param>
    /// <param name="isRounded">As forward.</param>
    /// <param name="adds">Whether the tiled gradient is added; dx is written and not read otherwise.</param>
    bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix shard, in KernelMatrix sum, in KernelMatrix inputGradient, in KernelMatrix shardGradient, bool isRounded, bool adds);
}
