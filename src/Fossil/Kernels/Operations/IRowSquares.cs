using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Σ x² of each row.</summary>
internal interface IRowSquares
{
    /// <param name="squares">(1, rows), float32; the sums are added.</param>
    /// <param name="matrix">x (rows, columns).</param>
    bool TryAdd(in KernelMatrix squares, in KernelMatrix matrix);
}
