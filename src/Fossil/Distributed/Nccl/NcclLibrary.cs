using System.Runtime.InteropServices;
using Fossil.Cuda.Native;

namespace Fossil.Distributed.Nccl;

/// <summary>What the first process makes, and all that join a communicator bring: <c>ncclUniqueId</c>.</summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal readonly struct NcclUniqueId
{
    /// <summary><c>NCCL_UNIQUE_ID_BYTES</c>.</summary>
    public const int Bytes = 128;
}

/// <summary>NCCL: its functions. They put work on a stream; the device that a communicator is of is the current one where they are called.</summary>
internal sealed unsafe class NcclLibrary
{
    /// <summary><c>ncclUint8</c>: everything is counted in bytes here.</summary>
    private const int UInt8 = 1;

    /// <summary><c>ncclSuccess</c>, <c>ncclInProgress</c>.</summary>
    private const int Success = 0, InProgress = 7;

    // The first that sends from one process to another.
    private static readonly Version Oldest = new(2, 7, 0);

    private readonly nint library;
    private readonly delegate* unmanaged<int, byte*> errorString;
    private readonly delegate* unmanaged<nint, byte*> lastError;
    private readonly delegate* unmanaged<int> groupStart;
    private readonly delegate* unmanaged<int> groupEnd;
    private readonly delegate* unmanaged<void*, nuint, int, int, nint, nint, int> send;
    private readonly delegate* unmanaged<void*, nuint, int, int, nint, nint, int> receive;
    private readonly delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int> broadcast;
    private readonly delegate* unmanaged<void*, void*, nuint, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<nint, int*, int> asyncError;
    private readonly delegate* unmanaged<nint, int> abort;

    /// <summary>Takes the functions of a library.</summary>
    /// <param name="library">Its handle.</param>
    /// <exception cref="DistributedException">It lacks one of them, or is too old.</exception>
    public NcclLibrary(nint library)
    {
        this.library = library;
        errorString = (delegate* unmanaged<int, byte*>)Export("ncclGetErrorString");
        int code;
        Check(((delegate* unmanaged<int*, int>)Export("ncclGetVersion"))(&code), "ncclGetVersion");

        // From 2.9 on the numbers have two digits more.
        Version = code < 10_000 ? new(code / 1000, code % 1000 / 100, code % 100) : new(code / 10_000, code % 10_000 / 100, code % 100);
        if (Version < Oldest) throw new DistributedException($"NCCL {Version} is too old: {Oldest} is the first that sends from one process to another. Name a newer one in {CudaLibrary.Nccl.Variable}.");
        lastError = NativeLibrary.TryGetExport(library, "ncclGetLastError", out var last) ? (delegate* unmanaged<nint, byte*>)last : null;
        groupStart = (delegate* unmanaged<int>)Export("ncclGroupStart");
        groupEnd = (delegate* unmanaged<int>)Export("ncclGroupEnd");
        send = (delegate* unmanaged<void*, nuint, int, int, nint, nint, int>)Export("ncclSend");
        receive = (delegate* unmanaged<void*, nuint, int, int, nint, nint, int>)Export("ncclRecv");
        broadcast = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)Export("ncclBroadcast");
        allGather = (delegate* unmanaged<void*, void*, nuint, int, nint, nint, int>)Export("ncclAllGather");
        asyncError = (delegate* unmanaged<nint, int*, int>)Export("ncclCommGetAsyncError");
        abort = (delegate* unmanaged<nint, int>)Export("ncclCommAbort");
    }

    /// <summary>Its version.</summary>
    public Version Version { get; }

    /// <summary>A new communicator's id: one process makes it, and tells it the others.</summary>
    public NcclUniqueId NewId()
    {
        NcclUniqueId id;
        Check(((delegate* unmanaged<NcclUniqueId*, int>)Export("ncclGetUniqueId"))(&id), "ncclGetUniqueId");
        return id;
    }

    /// <summary>Joins a communicator, with the current device; returns when all have.</summary>
    public nint Join(NcclUniqueId id, int rank, int size)
    {
        nint communicator;
        Check(((delegate* unmanaged<nint*, int, NcclUniqueId, int, int>)Export("ncclCommInitRank"))(&communicator, size, id, rank), "ncclCommInitRank");
        return communicator;
    }

    /// <summary>Puts several operations on the stream as one: none waits for another of them.</summary>
    public void Together(nint communicator, Action operations)
    {
        Check(groupStart(), "ncclGroupStart", communicator);
        try
        {
            operations();
        }
        catch
        {
            // What came first is what is said; a group that stays open would take in all that this thread asks for later.
            _ = groupEnd();
            throw;
        }

        Check(groupEnd(), "ncclGroupEnd", communicator);
    }

    public void Send(nint memory, int bytes, int to, nint communicator, nint stream) => Check(send((void*)memory, (nuint)bytes, UInt8, to, communicator, stream), "ncclSend", communicator);

    public void Receive(nint memory, int bytes, int from, nint communicator, nint stream) => Check(receive((void*)memory, (nuint)bytes, UInt8, from, communicator, stream), "ncclRecv", communicator);

    /// <summary>Copies one process's memory to all, in place.</summary>
    public void Broadcast(nint memory, int bytes, int root, nint communicator, nint stream) => Check(broadcast((void*)memory, (void*)memory, (nuint)bytes, UInt8, root, communicator, stream), "ncclBroadcast", communicator);

    /// <summary>Fills up memory of which each process has a slice of this length: its own is where it belongs.</summary>
    public void AllGather(nint memory, int rank, int bytesEach, nint communicator, nint stream) =>
        Check(allGather((void*)(memory + ((nint)rank * bytesEach)), (void*)memory, (nuint)bytesEach, UInt8, communicator, stream), "ncclAllGather", communicator);

    /// <summary>Throws where something went wrong since.</summary>
    /// <exception cref="DistributedException">A process is gone, or the network is.</exception>
    public void CheckCommunicator(nint communicator)
    {
        int error;
        Check(asyncError(communicator, &error), "ncclCommGetAsyncError", communicator);
        if (error == InProgress) return;
        Check(error, "what was put on the stream", communicator);
    }

    /// <summary>Gives up what a communicator has under way; it is void then.</summary>
    public void Abort(nint communicator) => _ = abort(communicator);

    /// <summary>Ends a communicator on which nothing is under way.</summary>
    public void Destroy(nint communicator) => Check(((delegate* unmanaged<nint, int>)Export("ncclCommDestroy"))(communicator), "ncclCommDestroy");

    private void Check(int code, string function, nint communicator = 0)
    {
        if (code == Success) return;
        var reason = Marshal.PtrToStringUTF8((nint)errorString(code)) ?? $"error {code}";
        var more = lastError is null ? null : Marshal.PtrToStringUTF8((nint)lastError(communicator))?.Trim();
        throw new DistributedException($"NCCL's {function}: {reason}{(more is { Length: > 0 } ? $" ({more})" : "")}. NCCL_DEBUG=INFO in the environment has it say more.");
    }

    private nint Export(string function) => NativeLibrary.TryGetExport(library, function, out var address)
        ? address
        : throw new DistributedException($"The library that was found as NCCL has no function {function}: it is too old ({Oldest} is the oldest), or another library. Name the right file in {CudaLibrary.Nccl.Variable}.");
}
