using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>Memory that launches need beside their operands, from libtorch's allocator: what is freed is given out again for what follows on the stream, so it may be freed once a launch is under way.</summary>
internal sealed class CudaScratch
{
    private const int FewestCounters = 1024;

    private readonly ConcurrentDictionary<DevicePlace, Tensor> counters = [];

    /// <summary>Unwritten memory on the device of an operand; null for nothing.</summary>
    public static Tensor? Of(in KernelMatrix beside, long count, ScalarType elementType = ScalarType.Float32) => count == 0 ? null : empty(count, dtype: elementType, device: beside.Tensor.device);

    /// <summary>The address of scratch.</summary>
    public static nint Address(Tensor? tensor) => tensor is null ? 0 : NativeTensor.Data(tensor);

    /// <summary>Zeros that each launch leaves as zeros; the launches of a device follow each other on its default stream.</summary>
    public nint Counters(in KernelMatrix beside, long count)
    {
        if (count == 0) return 0;
        var place = DevicePlace.Of(beside.Tensor);
        while (true)
        {
            if (counters.TryGetValue(place, out var known) && known.numel() >= count) return Address(known);
            var made = zeros([Math.Max(count, FewestCounters)], dtype: ScalarType.Int32, device: beside.Tensor.device);
            made.DetachFromDisposeScope();
            // One that became too small stays: a launch may be using it.
            if (known is null ? counters.TryAdd(place, made) : counters.TryUpdate(place, made, known)) return Address(made);
            made.Dispose();
        }
    }
}
