using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>‖W + s·B A‖ of each row, without that matrix: the root of ‖W_j‖² + 2s·P_j·B_j + s²·B_j G B_jᵀ with P = W Aᵀ and G = A Aᵀ; 0 where rounding leaves less.</summary>
internal interface IChangedNorms
{
    /// <param name="norms">(1, rows), float32; written.</param>
    /// <param name="weight">W (rows, in).</param>
    /// <param name="product">P (rows, r); of no rows where there is no change, so that the norms are those of W.</param>
    /// <param name="b">B (rows, r), float32.</param>
    /// <param name="gram">G (r, r), float32.</param>
    /// <param name="scale">s.</param>
    bool TryWrite(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix product, in KernelMatrix b, in KernelMatrix gram, float scale);

    /// <summary>As <see cref="TryWrite"/>, with P and G made here, of W in 16 bits and A rounded to them.</summary>
    /// <param name="norms">As there.</param>
    /// <param name="weight">W (rows, in), in 16 bits.</param>
    /// <param name="a">A (r, in), float32.</param>
    /// <param name="b">As there.</param>
    /// <param name="scale">As there.</param>
    bool TryWriteRounded(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix a, in KernelMatrix b, float scale);
}
