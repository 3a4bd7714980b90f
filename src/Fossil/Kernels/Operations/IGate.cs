using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>y = silu(gate) · up; the size is that of a row.</summary>
internal interface IGate : IDifferentiableKernel
{
    /// <summary>All (rows, n); y is written.</summary>
    void Forward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix output);

    /// <summary>d up = dy silu(gate), d gate = dy up σ (1 + gate (1 − σ)), σ = sigmoid(gate).</summary>
    void Backward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix gradOutput, in KernelMatrix gateGradient, in KernelMatrix upGradient);
}
