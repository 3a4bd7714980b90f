using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Fossil.Distributed.Mpi;

/// <summary>The processes of an MPI job.</summary>
internal sealed unsafe class MpiCollectives : ICollectives, IRollCall
{
    private const int RollCallTag = 1;

    private readonly MpiLibrary mpi;

    // Sums of one piece may end in another order than they began: what follows on them must not share their order.
    private readonly nint slicesWorld;
    private readonly nint world;

    // One message at a time is waited for, from the first roll call on.
    private readonly long* received = (long*)NativeMemory.Alloc(sizeof(long));
    private nint receiving;

    /// <summary>Joins the job. All its processes come here.</summary>
    /// <exception cref="DistributedException">MPI cannot be started.</exception>
    public MpiCollectives(MpiLibrary mpi)
    {
        this.mpi = mpi;
        mpi.Initialize();
        (slicesWorld, world) = (mpi.NewCommunicator(), mpi.NewCommunicator());
        (Rank, Size) = (mpi.Rank(world), mpi.Size(world));
        Library = mpi.Version;
    }

    /// <inheritdoc/>
    public string Library { get; }

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Size { get; }

    /// <inheritdoc/>
    public IPendingOperation Broadcast(nint memory, int bytes, int root) => new Operation(mpi, mpi.Broadcast(memory, bytes, root, world), []);

    /// <inheritdoc/>
    public IPendingOperation AllToAll(nint send, Slices slices, nint receive)
    {
        var own = slices.Lengths[Rank];
        var (counts, starts, received, places) = (Pinned(slices.Lengths), Pinned(slices.Starts), Pinned([.. Enumerable.Repeat(own, Size)]), Pinned([.. Enumerable.Range(0, Size).Select(rank => rank * own)]));
        return new Operation(mpi, mpi.AllToAll(send, Address(counts), Address(starts), receive, Address(received), Address(places), slicesWorld), [counts, starts, received, places]);
    }

    /// <inheritdoc/>
    public IPendingOperation AllGather(nint memory, Slices slices)
    {
        var (counts, starts) = (Pinned(slices.Lengths), Pinned(slices.Starts));
        return new Operation(mpi, mpi.AllGather(memory, Address(counts), Address(starts), world), [counts, starts]);
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> RollCall(long occasion, TimeSpan patience, Func<bool> isOver)
    {
        var missing = Enumerable.Range(0, Size).Where(rank => rank != Rank).ToHashSet();

        // Not freed: where a process hangs, the message stays with the library.
        var sent = (long*)NativeMemory.Alloc(sizeof(long));
        *sent = occasion;
        foreach (var rank in missing) mpi.Send((nint)sent, sizeof(long), rank, RollCallTag, world);
        if (receiving == 0) Receive();
        for (var began = Stopwatch.GetTimestamp(); missing.Count > 0 && Stopwatch.GetElapsedTime(began) < patience && !isOver();)
        {
            if (!mpi.Test(ref receiving, out var source, out _))
            {
                Thread.Sleep(1);
                continue;
            }

            if (*received == occasion) missing.Remove(source);
            Receive();
        }

        return [.. missing.Order()];
    }

    /// <inheritdoc/>
    public void Abort() => mpi.Abort(world);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (mpi.IsFinalized) return;
        if (receiving != 0) mpi.Cancel(receiving);
        mpi.Complete();
    }

    private void Receive() => receiving = mpi.Receive((nint)received, sizeof(long), RollCallTag, world);

    private static int[] Pinned(int[] values)
    {
        var pinned = GC.AllocateUninitializedArray<int>(values.Length, pinned: true);
        values.CopyTo(pinned, 0);
        return pinned;
    }

    private static int* Address(int[] pinned) => (int*)Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);

    /// <param name="mpi">The library.</param>
    /// <param name="request">The request.</param>
    /// <param name="kept">What the library reads meanwhile.</param>
    private sealed class Operation(MpiLibrary mpi, nint request, int[][] kept) : IPendingOperation
    {
        public bool IsDone()
        {
            var isDone = mpi.Test(ref request);
            if (isDone) kept = [];
            GC.KeepAlive(kept);
            return isDone;
        }
    }
}
