using Fossil.Cuda;

namespace Fossil.Distributed.Nccl;

/// <summary>The host's memory, between processes that only their devices join: it goes through a device's. For the few numbers of a step; one operation at a time.</summary>
/// <param name="nccl">The devices.</param>
internal sealed unsafe class StagedCollectives(NcclCollectives nccl) : ICollectives
{
    private (nint Device, nint Pinned, long Bytes) sent;
    private (nint Device, nint Pinned, long Bytes) received;

    /// <inheritdoc/>
    public string Library => nccl.Library;

    /// <inheritdoc/>
    public int Rank => nccl.Rank;

    /// <inheritdoc/>
    public int Size => nccl.Size;

    private CudaDevice Device => nccl.Device;

    /// <inheritdoc/>
    public IPendingOperation Broadcast(nint memory, int bytes, int root) => InPlace(memory, bytes, device => nccl.Broadcast(device, bytes, root));

    /// <inheritdoc/>
    public IPendingOperation AllGather(nint memory, Slices slices) => InPlace(memory, slices.Bytes, device => nccl.AllGather(device, slices));

    /// <inheritdoc/>
    public IPendingOperation AllToAll(nint send, Slices slices, nint receive)
    {
        var bytes = slices.Lengths[Rank] * Size;
        Upload(send, slices.Bytes);
        Grow(ref received, bytes);
        nccl.AllToAll(sent.Device, slices, received.Device);
        return Download(received, receive, bytes);
    }

    /// <inheritdoc/>
    public void Abort() => nccl.Abort();

    /// <inheritdoc/>
    public void Dispose() => nccl.Dispose();

    private Copied InPlace(nint memory, int bytes, Action<nint> operation)
    {
        Upload(memory, bytes);
        operation(sent.Device);
        return Download(sent, memory, bytes);
    }

    private void Upload(nint memory, int bytes)
    {
        Grow(ref sent, bytes);
        Buffer.MemoryCopy((void*)memory, (void*)sent.Pinned, bytes, bytes);
        nccl.Stream.CopyToDevice(sent.Device, sent.Pinned, bytes);
    }

    private Copied Download((nint Device, nint Pinned, long Bytes) from, nint memory, int bytes)
    {
        nccl.Stream.CopyToHost(from.Pinned, from.Device, bytes);
        return new(nccl.End(), from.Pinned, memory, bytes);
    }

    private void Grow(ref (nint Device, nint Pinned, long Bytes) staging, long bytes)
    {
        if (staging.Bytes >= Math.Max(1, bytes)) return;
        if (staging.Bytes > 0)
        {
            Device.Memory.Free(staging.Device);
            Device.Memory.FreePinned(staging.Pinned);
        }

        var room = Math.Max(1 << 16, bytes);
        staging = (Device.Memory.Allocate(room), Device.Memory.AllocatePinned(room), room);
    }

    private sealed class Copied(IPendingOperation copy, nint pinned, nint memory, int bytes) : IPendingOperation
    {
        public bool IsDone()
        {
            if (!copy.IsDone()) return false;
            Buffer.MemoryCopy((void*)pinned, (void*)memory, bytes, bytes);
            return true;
        }
    }
}
