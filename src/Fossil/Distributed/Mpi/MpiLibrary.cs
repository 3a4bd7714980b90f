using System.Runtime.InteropServices;
using System.Text;

namespace Fossil.Distributed.Mpi;

/// <summary>An MPI library: its functions, called with the values of its ABI.</summary>
internal sealed unsafe partial class MpiLibrary
{
    // The largest of MPI_MAX_LIBRARY_VERSION_STRING and MPI_MAX_ERROR_STRING.
    private const int LongestText = 8192;

    private readonly nint library;
    private readonly delegate* unmanaged<nint, int*, int> commRank;
    private readonly delegate* unmanaged<nint, int*, int> commSize;
    private readonly delegate* unmanaged<nint, nint*, int> commDup;
    private readonly delegate* unmanaged<nint, nint, int> setErrorHandler;
    private readonly delegate* unmanaged<nint, int, nint, int, nint, nint*, int> broadcast;
    private readonly delegate* unmanaged<nint, int*, int*, nint, nint, int*, int*, nint, nint, nint*, int> allToAll;
    private readonly delegate* unmanaged<nint, int, nint, nint, int*, int*, nint, nint, nint*, int> allGather;
    private readonly delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int> send;
    private readonly delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int> receive;
    private readonly delegate* unmanaged<nint*, int*, nint, int> test;
    private readonly delegate* unmanaged<nint, int, int> abort;
    private readonly delegate* unmanaged<int, byte*, int*, int> errorString;

    private MpiLibrary(nint library)
    {
        this.library = library;
        Abi = MpiAbi.Of(library);
        commRank = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_rank");
        commSize = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_size");
        commDup = (delegate* unmanaged<nint, nint*, int>)Export("MPI_Comm_dup");
        setErrorHandler = (delegate* unmanaged<nint, nint, int>)Export("MPI_Comm_set_errhandler");
        broadcast = (delegate* unmanaged<nint, int, nint, int, nint, nint*, int>)Export("MPI_Ibcast");
        allToAll = (delegate* unmanaged<nint, int*, int*, nint, nint, int*, int*, nint, nint, nint*, int>)Export("MPI_Ialltoallv");
        allGather = (delegate* unmanaged<nint, int, nint, nint, int*, int*, nint, nint, nint*, int>)Export("MPI_Iallgatherv");
        send = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)Export("MPI_Isend");
        receive = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)Export("MPI_Irecv");
        test = (delegate* unmanaged<nint*, int*, nint, int>)Export("MPI_Test");
        abort = (delegate* unmanaged<nint, int, int>)Export("MPI_Abort");
        errorString = (delegate* unmanaged<int, byte*, int*, int>)Export("MPI_Error_string");
    }

    /// <summary>What its functions expect.</summary>
    public MpiAbi Abi { get; }

    /// <summary>The first line of what the library says of itself.</summary>
    public string Version
    {
        get
        {
            var text = stackalloc byte[LongestText];
            var length = 0;
            Check(((delegate* unmanaged<byte*, int*, int>)Export("MPI_Get_library_version"))(text, &length), "MPI_Get_library_version");
            return Encoding.UTF8.GetString(text, length).TrimEnd('\0').Split('\n')[0].Replace("\t", " ", StringComparison.Ordinal).Trim();
        }
    }

    /// <summary>Whether <c>MPI_Finalize</c> was called.</summary>
    public bool IsFinalized => Flag("MPI_Finalized");

    /// <summary>Loads the library that fits a launcher, or that <see cref="Launch.Variable"/> names.</summary>
    /// <exception cref="DistributedException">There is none.</exception>
    public static MpiLibrary Load(Launch launch)
    {
        // UCX, which may come with the library, would take the signal that .NET makes a NullReferenceException of, as soon as it is loaded. Environment.SetEnvironmentVariable changes nothing that native code reads.
        SetVariable("UCX_ERROR_SIGNALS", "", 1);
        var chosen = Environment.GetEnvironmentVariable(Launch.Variable);
        var kind = chosen is Launch.OpenMpi or Launch.Mpich or Launch.StandardAbi ? chosen : launch.Kind;
        if (chosen is { Length: > 0 } && chosen != kind)
        {
            return NativeLibrary.TryLoad(chosen, out var named) ? new(named) : throw new DistributedException($"{Launch.Variable} names {chosen}, which cannot be loaded. It is {Launch.OpenMpi}, {Launch.Mpich}, {Launch.StandardAbi}, {Launch.Off}, or the file of an MPI library.");
        }

        string[] files = kind switch
        {
            Launch.OpenMpi => ["libmpi.so.40", "libmpi.so", "libmpi_abi.so.0"],
            Launch.Mpich => ["libmpich.so.12", "libmpi.so.12", "libmpi.so", "libmpi_abi.so.0"],
            Launch.StandardAbi => ["libmpi_abi.so.0", "libmpi_abi.so"],
            _ => ["libmpi_abi.so.0", "libmpi.so.40", "libmpich.so.12", "libmpi.so.12", "libmpi.so"],
        };
        foreach (var file in files)
        {
            if (NativeLibrary.TryLoad(file, out var library) && Fits(MpiAbi.Of(library), kind)) return new(library);
        }

        throw new DistributedException($"{launch.Launcher} says that this process is one of several, but none of {string.Join(", ", files)} could be loaded. Install the MPI library that the launcher is of, name its file in {Launch.Variable}, or set that to {Launch.Off}.");
    }

    /// <summary>Starts MPI, unless the program has; several threads may call it then, one at a time.</summary>
    /// <exception cref="DistributedException">It cannot, or allows one thread only.</exception>
    public void Initialize()
    {
        var provided = 0;
        if (Flag("MPI_Initialized")) Check(((delegate* unmanaged<int*, int>)Export("MPI_Query_thread"))(&provided), "MPI_Query_thread");
        else Check(((delegate* unmanaged<int*, byte***, int, int*, int>)Export("MPI_Init_thread"))(null, null, Abi.ThreadSerialized, &provided), "MPI_Init_thread");
        if (provided < Abi.ThreadSerialized) throw new DistributedException($"{Version} allows calls from one thread only (level {provided}, MPI_THREAD_SERIALIZED is {Abi.ThreadSerialized}). Start it with that level, or take a library that has it.");
    }

    /// <summary>Ends MPI: all processes of the job are to come here.</summary>
    public void Complete() => Check(((delegate* unmanaged<int>)Export("MPI_Finalize"))(), "MPI_Finalize");

    /// <summary>A communicator of all processes, whose errors are returned.</summary>
    public nint NewCommunicator()
    {
        nint communicator = 0;
        Check(commDup(Abi.CommWorld, &communicator), "MPI_Comm_dup");
        Check(setErrorHandler(communicator, Abi.ErrorsReturn), "MPI_Comm_set_errhandler");
        return communicator;
    }

    public int Rank(nint communicator)
    {
        var rank = 0;
        Check(commRank(communicator, &rank), "MPI_Comm_rank");
        return rank;
    }

    public int Size(nint communicator)
    {
        var size = 0;
        Check(commSize(communicator, &size), "MPI_Comm_size");
        return size;
    }

    public nint Broadcast(nint memory, int bytes, int root, nint communicator)
    {
        nint request = 0;
        Check(broadcast(memory, bytes, Abi.Byte, root, communicator, &request), "MPI_Ibcast");
        return request;
    }

    /// <summary>The counts and places stay where they are until the operation is done, as the memory does.</summary>
    public nint AllToAll(nint from, int* sendCounts, int* sendStarts, nint to, int* receiveCounts, int* receiveStarts, nint communicator)
    {
        nint request = 0;
        Check(allToAll(from, sendCounts, sendStarts, Abi.Byte, to, receiveCounts, receiveStarts, Abi.Byte, communicator, &request), "MPI_Ialltoallv");
        return request;
    }

    /// <summary>The counts and places stay where they are until the operation is done, as the memory does.</summary>
    public nint AllGather(nint memory, int* counts, int* starts, nint communicator)
    {
        nint request = 0;
        Check(allGather(Abi.InPlace, 0, Abi.Byte, memory, counts, starts, Abi.Byte, communicator, &request), "MPI_Iallgatherv");
        return request;
    }

    public nint Send(nint memory, int bytes, int to, int tag, nint communicator)
    {
        nint request = 0;
        Check(send(memory, bytes, Abi.Byte, to, tag, communicator, &request), "MPI_Isend");
        return request;
    }

    /// <summary>Receives from whoever sends.</summary>
    public nint Receive(nint memory, int bytes, int tag, nint communicator)
    {
        nint request = 0;
        Check(receive(memory, bytes, Abi.Byte, Abi.AnySource, tag, communicator, &request), "MPI_Irecv");
        return request;
    }

    /// <summary>Whether an operation is done; its request is void then.</summary>
    public bool Test(ref nint request)
    {
        var (isDone, copy) = (0, request);
        Check(test(&copy, &isDone, Abi.StatusIgnore), "MPI_Test");
        request = copy;
        return isDone != 0;
    }

    /// <summary>As <see cref="Test(ref nint)"/>, of something that was received.</summary>
    /// <param name="request">The request.</param>
    /// <param name="source">Who sent it.</param>
    /// <param name="tag">Under which tag.</param>
    public bool Test(ref nint request, out int source, out int tag)
    {
        var status = stackalloc byte[Abi.StatusBytes];
        var (isDone, copy) = (0, request);
        Check(test(&copy, &isDone, (nint)status), "MPI_Test");
        request = copy;
        (source, tag) = (*(int*)(status + Abi.StatusSource), *(int*)(status + Abi.StatusTag));
        return isDone != 0;
    }

    /// <summary>Takes back what was to be received.</summary>
    public void Cancel(nint request)
    {
        Check(((delegate* unmanaged<nint*, int>)Export("MPI_Cancel"))(&request), "MPI_Cancel");
        while (!Test(ref request)) Thread.Yield();
    }

    public void Abort(nint communicator) => _ = abort(communicator, 1);

    private static bool Fits(MpiAbi abi, string? kind) => kind switch
    {
        Launch.OpenMpi => abi != MpiAbi.Mpich,
        Launch.Mpich => abi == MpiAbi.Mpich || abi == MpiAbi.Standard,
        _ => true,
    };

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    private bool Flag(string function)
    {
        var flag = 0;
        Check(((delegate* unmanaged<int*, int>)Export(function))(&flag), function);
        return flag != 0;
    }

    private nint Export(string name) => NativeLibrary.TryGetExport(library, name, out var function) ? function : throw new DistributedException($"The MPI library lacks {name}. Name another one in {Launch.Variable}.");

    private void Check(int code, string function)
    {
        if (code == 0) return;
        var text = stackalloc byte[LongestText];
        var length = 0;
        var reason = errorString(code, text, &length) == 0 ? Encoding.UTF8.GetString(text, length).TrimEnd('\0') : $"error {code}";
        throw new DistributedException($"{function}: {reason}");
    }
}
