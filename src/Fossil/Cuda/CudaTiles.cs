using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>
/// One buffer a device and dtype, in which tiles of weights are written out and multiplied, one after the other. It grows to the largest tile and stays: a step's memory does not depend on how many
/// weights it reads.
/// </summary>
internal sealed class CudaTiles
{
    private readonly ConcurrentDictionary<(DevicePlace Place, ScalarType Dtype), Buffer> buffers = [];

    /// <summary>Launches what fills a tile and what reads it, with no other thread's launches between the two.</summary>
    /// <param name="beside">An operand on the device, in the tile's dtype.</param>
    /// <param name="rows">Rows of the tile.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="launch">Launches both.</param>
    public void Use(in KernelMatrix beside, long rows, long columns, Action<KernelMatrix> launch)
    {
        var buffer = buffers.GetOrAdd((DevicePlace.Of(beside.Tensor), beside.ElementType), static _ => new());
        lock (buffer.Lock)
        {
            using var part = buffer.OfSize(rows * columns, beside).narrow(0, 0, rows * columns);
            using var tile = part.view(rows, columns);
            launch(KernelMatrix.Of(tile));
        }
    }

    private sealed class Buffer
    {
        private Tensor? memory;

        public Lock Lock { get; } = new();

        public Tensor OfSize(long elements, in KernelMatrix beside)
        {
            if (memory is not null && memory.numel() >= elements) return memory;
            // What is freed is given out again for what follows on the stream, behind the launches that read it.
            memory?.Dispose();
            return memory = empty(elements, dtype: beside.ElementType, device: beside.Tensor.device).DetachFromDisposeScope();
        }
    }
}
