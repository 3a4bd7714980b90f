using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Products with W + tile(D), where column c of W has row c mod r of D added, in float32. The sum is formed a panel at a time, and never there as a whole.</summary>
internal interface ITiledWeightProduct
{
    /// <summary>Whether both passes are faster than a product with W and one with D.</summary>
    /// <param name="rows">Rows of x.</param>
    /// <param name="inFeatures">Width of x.</param>
    /// <param name="outFeatures">Width of y.</param>
    bool Pays(long rows, long inFeatures, long outFeatures);

    /// <summary>y = x (W + tile(D))ᵀ.</summary>
    /// <param name="output">y (rows, out); written.</param>
    /// <param name="input">x (rows, in).</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="shard">D (r, out).</param>
    bool TryProduct(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight, in KernelMatrix shard);

    /// <summary>dx = dy (W + tile(D)).</summary>
    /// <param name="inputGradient">dx (rows, in); written, or added to.</param>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="transposedShard">Dᵀ (out, r).</param>
    /// <param name="adds">Whether the product is added; dx is not read otherwise.</param>
    bool TryInputGradient(in KernelMatrix inputGradient, in KernelMatrix gradOutput, in KernelMatrix weight, in KernelMatrix transposedShard, bool adds = false);
}
