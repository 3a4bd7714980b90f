using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Attention over float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>) on vectors of 512 bits, in float32 with the roundings of libtorch's operations.</summary>
/// <param name="inBlocks">Whether products are those of <see cref="BFloat16Blocks"/>.</param>
internal sealed class AttentionKernel<T>(bool inBlocks = false) : IAttention where T : unmanaged
{
    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % (2 * Lanes.Count) == 0;

    public void Forward(in AttentionInputs inputs, in KernelMatrix output) => AttentionForward<T>.Run(new(inputs), inBlocks, output);

    public void Backward(in AttentionInputs inputs, in KernelMatrix gradOutput, in KernelMatrix queryGradient, in KernelMatrix keyGradient, in KernelMatrix valueGradient) =>
        AttentionBackward<T>.Run(new(inputs), inBlocks, gradOutput, queryGradient, keyGradient, valueGradient);
}
