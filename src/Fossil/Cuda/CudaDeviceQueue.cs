using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>The launches of a source on a device, with scratch from libtorch's allocator: what is freed is given out again for what follows on the stream, so scratch may be freed once a launch is under way.</summary>
/// <param name="device">The device.</param>
/// <param name="source">The source of the kernels; prepared.</param>
/// <param name="beside">An operand on the device.</param>
/// <param name="scratch">Zeros.</param>
internal sealed class CudaDeviceQueue(CudaDevice device, string source, KernelMatrix beside, CudaScratch scratch) : CudaQueue, IDisposable
{
    private readonly List<Tensor> taken = [];

    public override int Multiprocessors => device.Multiprocessors;

    public override nint Scratch(long floats)
    {
        if (CudaScratch.Of(beside, floats) is not { } tensor) return 0;
        taken.Add(tensor);
        return CudaScratch.Address(tensor);
    }

    public override nint Counters(long count) => scratch.Counters(beside, count);

    public void Dispose()
    {
        foreach (var tensor in taken) tensor.Dispose();
    }

    private protected override void Launch(CudaLaunch launch) => device.Launch(source, launch);
}
