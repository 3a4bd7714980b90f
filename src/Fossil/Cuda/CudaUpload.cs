using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Cuda.Native;
using Fossil.Kernels;

namespace Fossil.Cuda;

/// <summary>
/// Readers write into pinned memory, from which the device copies by itself: while it does, the next piece is read. Two pieces of a device stay for the life of the process, once anything was loaded
/// onto it.
/// </summary>
internal sealed class CudaUpload(CudaRuntime runtime) : IUpload
{
    private readonly ConcurrentDictionary<int, Lazy<Staging>> staging = [];

    public bool TryWrite(in KernelMatrix destination, Action<nint> read)
    {
        var bytes = destination.Rows * destination.Columns * destination.ElementSize;
        var ordinal = Math.Max(0, destination.Tensor.device_index);
        if (bytes > IUpload.MostBytes || runtime.Device(ordinal) is not { } device) return false;
        staging.GetOrAdd(ordinal, _ => new(() => new(device.Memory))).Value.Write(destination.Address, bytes, read);
        return true;
    }

    private sealed class Staging(CudaMemory memory)
    {
        private readonly Lock oneWriter = new();
        private readonly (nint Address, nint Copied)[] pieces = [.. Enumerable.Range(0, 2).Select(_ => (memory.AllocatePinned(IUpload.MostBytes), memory.CreateEvent()))];
        private int next;

        public void Write(nint destination, long bytes, Action<nint> read)
        {
            lock (oneWriter)
            {
                var (address, copied) = pieces[next];
                next = 1 - next;
                memory.Wait(copied);
                read(address);
                memory.CopyToDevice(destination, address, bytes);
                memory.Record(copied);
            }
        }
    }
}
