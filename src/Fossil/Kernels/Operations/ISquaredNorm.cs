using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Σ x², summed in float64, without a tensor of the squares.</summary>
internal interface ISquaredNorm
{
    /// <param name="values">x.</param>
    /// <param name="squaredNorm">The sum.</param>
    bool TryRun(in KernelMatrix values, out double squaredNorm);
}
