using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Rotary positions, and the repetition of key-value heads for grouped queries; the size is head_dim.</summary>
internal interface IRotary : IDifferentiableKernel
{
    /// <param name="heads">(batch · tokens, heads · head_dim).</param>
    /// <param name="output">(batch · tokens, heads · repeat · head_dim); written.</param>
    /// <param name="cos">(tokens or batch · tokens, head_dim), float32; no rows for no rotation.</param>
    /// <param name="sin">As the cosines.</param>
    /// <param name="size">head_dim.</param>
    /// <param name="repeat">How often each head is repeated.</param>
    void Forward(in KernelMatrix heads, in KernelMatrix output, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat);

    /// <summary>The sum over the repetitions, rotated back.</summary>
    void Backward(in KernelMatrix gradOutput, in KernelMatrix gradient, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat);
}
