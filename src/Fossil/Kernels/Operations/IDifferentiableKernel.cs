using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>A kernel of an operation that has a backward pass.</summary>
internal interface IDifferentiableKernel
{
    /// <summary>Whether it computes both passes for operands of this size on this device; they are contiguous.</summary>
    /// <param name="size">Columns of a row, or head_dim.</param>
    /// <param name="elementType">The operands' dtype.</param>
    /// <param name="place">Where they lie: of several devices of a kind one may lack what another has.</param>
    bool Takes(long size, ScalarType elementType, DevicePlace place);
}
