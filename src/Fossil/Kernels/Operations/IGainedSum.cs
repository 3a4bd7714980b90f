using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>What DoRA computes of two products l and u (rows, out), each column by factors of its own, and back. In float32, rounded once; all matrices but the factors float32 or bfloat16.</summary>
internal interface IGainedSum
{
    /// <summary>y = p ⊙ l + q ⊙ u + o.</summary>
    /// <param name="output">y (rows, out); written.</param>
    /// <param name="change">l.</param>
    /// <param name="direct">u.</param>
    /// <param name="factors">(3, out), float32: p, q, o.</param>
    bool TryForward(in KernelMatrix output, in KernelMatrix change, in KernelMatrix direct, in KernelMatrix factors);

    /// <summary>v ⊙ dy and w ⊙ dy, and added to a row of sums Σ dy ⊙ (p ⊙ l + q ⊙ u + o) over the rows.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="change">l.</param>
    /// <param name="direct">u.</param>
    /// <param name="factors">(5, out), float32: p, q, o, v, w.</param>
    /// <param name="changeGradient">v ⊙ dy (rows, out); written.</param>
    /// <param name="directGradient">w ⊙ dy (rows, out); written. It may be the same as <paramref name="changeGradient"/>.</param>
    /// <param name="sums">(1, out), float32; updated in place.</param>
    bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix change, in KernelMatrix direct, in KernelMatrix factors, in KernelMatrix changeGradient, in KernelMatrix directGradient, in KernelMatrix sums);
}
