using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>Dropout masks on CUDA devices: the host makes the rows' keys, the device the elements.</summary>
internal sealed class CudaDropoutMask(CudaRuntime runtime) : IDropoutMask
{
    private const int Threads = 256, ElementsOfThread = 4, BlocksOfMultiprocessor = 8;

    private static readonly Lazy<string> Text = new(() => $"constexpr int Threads = {Threads};\n\n{CudaText.Read("device.cu")}{CudaText.Read("dropout.cu")}");

    /// <summary>The source of the kernel.</summary>
    public static string Source => Text.Value;

    public bool TryFill(in KernelMatrix mask, DropoutRow[] rows, uint threshold)
    {
        var count = mask.Rows * mask.Columns;
        if (!mask.IsPlain(ScalarType.Bool) || runtime.Device(Math.Max(0, mask.Tensor.device_index)) is not { } device || !device.Prepare(Source, "the kernel of dropout masks")) return false;
        using var keys = tensor(MemoryMarshal.Cast<DropoutRow, int>(rows).ToArray(), device: mask.Tensor.device);
        device.Launch(Source, Launch(mask.Address, NativeTensor.Data(keys), count, mask.Columns, threshold, device.Multiprocessors));
        return true;
    }

    /// <summary>The launch.</summary>
    public static CudaLaunch Launch(nint mask, nint rows, long count, long columns, uint threshold, int multiprocessors)
    {
        var blocks = Math.Clamp((count + (Threads * ElementsOfThread) - 1) / (Threads * ElementsOfThread), 1, multiprocessors * BlocksOfMultiprocessor);
        return new("dropout_mask", ((uint)blocks, 1), (Threads, 1), mask, rows, count, columns, unchecked((int)threshold));
    }
}
