using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>The memory of a float32 tensor on the CPU, for passes that libtorch would need several of.</summary>
internal static class FloatMemory
{
    /// <summary>Whether <see cref="Open"/> and <see cref="Span"/> may be used: float32, on the CPU, contiguous, at most 2 GB.</summary>
    public static bool IsAvailable(Tensor tensor) =>
        tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU && tensor.numel() <= int.MaxValue / sizeof(float) && tensor.is_contiguous();

    /// <summary>The first element, the others behind it in memory order; valid as long as the tensor is.</summary>
    public static unsafe float* Open(Tensor tensor) => (float*)NativeTensor.Data(tensor);

    /// <summary>The elements in memory order; valid as long as the tensor is.</summary>
    public static Span<float> Span(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
