using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y = x · s · w with s = 1 / sqrt(mean(x²) + eps) for each row; the size is that of a row.</summary>
internal interface IRmsNorm : IDifferentiableKernel
{
    /// <param name="input">x (rows, n).</param>
    /// <param name="weight">w (1, n).</param>
    /// <param name="output">y (rows, n); written.</param>
    /// <param name="scales">s (rows, 1), float32; written.</param>
    /// <param name="eps">As said.</param>
    void Forward(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix output, in KernelMatrix scales, double eps);

    /// <summary>dx = s (dy w − x s² mean(dy w x)).</summary>
    void InputGradient(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix gradOutput, in KernelMatrix inputGradient, in KernelMatrix scales);

    /// <summary>dw = Σ dy x s.</summary>
    void WeightGradient(in KernelMatrix input, in KernelMatrix gradOutput, in KernelMatrix weightGradient, in KernelMatrix scales);
}
