using Fossil.Cuda;
using Fossil.Cuda.Native;

namespace Fossil.Distributed.Nccl;

/// <summary>
/// The memory of a device, between the processes: operations are put on a stream of their own, where each follows on the one before, so they count as done at once; <see cref="End"/> tells when they are. All processes ask for them in one order.
/// </summary>
internal sealed class NcclCollectives : ICollectives
{
    private readonly NcclLibrary nccl;
    private nint communicator;

    /// <summary>Joins the processes. All come here.</summary>
    /// <exception cref="DistributedException">They cannot be joined.</exception>
    public NcclCollectives(NcclLibrary nccl, CudaDevice device, NcclUniqueId id, int rank, int size)
    {
        (this.nccl, Device, Rank, Size) = (nccl, device, rank, size);
        using var current = device.Enter();
        communicator = nccl.Join(id, rank, size);
        Stream = device.NewStream();
    }

    /// <inheritdoc/>
    public string Library => $"NCCL {nccl.Version}";

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Size { get; }

    /// <summary>The device.</summary>
    public CudaDevice Device { get; }

    /// <summary>What operations are put on.</summary>
    public CudaStream Stream { get; }

    /// <inheritdoc/>
    public IPendingOperation Broadcast(nint memory, int bytes, int root) => Put(() => nccl.Broadcast(memory, bytes, root, communicator, Stream.Handle));

    /// <inheritdoc/>
    public IPendingOperation AllToAll(nint send, Slices slices, nint receive) => Put(() => nccl.Together(communicator, () =>
    {
        var own = slices.Lengths[Rank];
        for (var rank = 0; rank < Size; rank++)
        {
            if (slices.Lengths[rank] > 0) nccl.Send(send + slices.Starts[rank], slices.Lengths[rank], rank, communicator, Stream.Handle);
            if (own > 0) nccl.Receive(receive + ((nint)rank * own), own, rank, communicator, Stream.Handle);
        }
    }));

    /// <inheritdoc/>
    public IPendingOperation AllGather(nint memory, Slices slices) => Put(() =>
    {
        if (slices.AreEqual)
        {
            nccl.AllGather(memory, Rank, slices.Lengths[0], communicator, Stream.Handle);
            return;
        }

        nccl.Together(communicator, () =>
        {
            for (var rank = 0; rank < Size; rank++)
            {
                if (slices.Lengths[rank] > 0) nccl.Broadcast(memory + slices.Starts[rank], slices.Lengths[rank], rank, communicator, Stream.Handle);
            }
        });
    });

    /// <summary>Tells when all is done that was put on the stream; or throws what went wrong with it.</summary>
    public IPendingOperation End() => new Mark(this, Stream.Mark());

    /// <inheritdoc/>
    public void Abort()
    {
        if (Interlocked.Exchange(ref communicator, 0) is not 0 and var given) nccl.Abort(given);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using var current = Device.Enter();
        if (Interlocked.Exchange(ref communicator, 0) is not 0 and var given) nccl.Destroy(given);
    }

    private CompletedOperation Put(Action work)
    {
        using var current = Device.Enter();
        work();
        return CompletedOperation.Instance;
    }

    private sealed class Mark(NcclCollectives owner, nint mark) : IPendingOperation
    {
        public bool IsDone()
        {
            if (owner.Stream.IsReached(mark)) return true;
            try
            {
                owner.nccl.CheckCommunicator(owner.communicator);
            }
            catch (DistributedException)
            {
                // Kernels that wait for a process that is gone would keep the device for good.
                owner.Abort();
                throw;
            }

            return false;
        }
    }
}
