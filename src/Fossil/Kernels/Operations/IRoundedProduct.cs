using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Sums of products of 16-bit matrices, made in float32 and rounded once where the result has 16 bits too: what an adapter adds to a layer comes with the layer's own product.</summary>
internal interface IRoundedProduct
{
    /// <summary>Y = s·L R + L' R' + … + tile(T).</summary>
    /// <param name="output">Y (rows, columns), in 16 bits or float32; written.</param>
    /// <param name="factors">L, R, L', R', …: L (rows, depth) in 16 bits; R (depth, columns), or (depth, m) that stands for its tiling, in 16 bits or float32, which is rounded. R may have fewer rows where L ends in zeros.</param>
    /// <param name="isTransposed">Of each R, whether its transpose is given.</param>
    /// <param name="tile">T (rows, r) in float32, of which column c of Y has column c mod r; of no rows where there is none.</param>
    /// <param name="scale">s, of the first product.</param>
    bool TrySum(in KernelMatrix output, ReadOnlySpan<KernelMatrix> factors, ReadOnlySpan<bool> isTransposed, in KernelMatrix tile, float scale = 1);
}
