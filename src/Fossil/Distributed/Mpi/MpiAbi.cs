using System.Runtime.InteropServices;

namespace Fossil.Distributed.Mpi;

/// <summary>
/// What an MPI library was compiled with and its functions expect: the values of the names in its <c>mpi.h</c>. Handles are integers in MPICH and addresses elsewhere; both fit a machine word, and are passed in one.
/// </summary>
internal sealed record MpiAbi
{
    /// <summary>MPICH and what shares its ABI: MVAPICH, Intel MPI, Cray MPICH.</summary>
    public static readonly MpiAbi Mpich = new()
    {
        Name = "MPICH", CommWorld = 0x44000000, Byte = 0x4c00010d, ErrorsReturn = 0x54000001, InPlace = -1, StatusIgnore = 1, ThreadSerialized = 2, AnySource = -2,
        StatusBytes = 20, StatusSource = 8, StatusTag = 12, StatusError = 16,
    };

    /// <summary>The standard ABI of MPI 5 (<c>libmpi_abi</c>).</summary>
    public static readonly MpiAbi Standard = new()
    {
        Name = "the standard ABI", CommWorld = 0x101, Byte = 0x247, ErrorsReturn = 0x142, InPlace = 1, StatusIgnore = 0, ThreadSerialized = 2048, AnySource = -1,
        StatusBytes = 32, StatusSource = 0, StatusTag = 4, StatusError = 8,
    };

    /// <summary>Whose ABI it is.</summary>
    public required string Name { get; init; }

    /// <summary><c>MPI_COMM_WORLD</c>.</summary>
    public required nint CommWorld { get; init; }

    /// <summary><c>MPI_BYTE</c>.</summary>
    public required nint Byte { get; init; }

    /// <summary><c>MPI_ERRORS_RETURN</c>.</summary>
    public required nint ErrorsReturn { get; init; }

    /// <summary><c>MPI_IN_PLACE</c>.</summary>
    public required nint InPlace { get; init; }

    /// <summary><c>MPI_STATUS_IGNORE</c>.</summary>
    public required nint StatusIgnore { get; init; }

    /// <summary><c>MPI_THREAD_SERIALIZED</c>.</summary>
    public required int ThreadSerialized { get; init; }

    /// <summary><c>MPI_ANY_SOURCE</c>.</summary>
    public required int AnySource { get; init; }

    /// <summary>The size of <c>MPI_Status</c>.</summary>
    public required int StatusBytes { get; init; }

    /// <summary>Where <c>MPI_SOURCE</c> is in it.</summary>
    public required int StatusSource { get; init; }

    /// <summary>Where <c>MPI_TAG</c> is in it.</summary>
    public required int StatusTag { get; init; }

    /// <summary>Where <c>MPI_ERROR</c> is in it.</summary>
    public required int StatusError { get; init; }

    /// <summary>Open MPI: handles are addresses of what the library exports.</summary>
    public static MpiAbi OpenMpi(nint library) => new()
    {
        Name = "Open MPI", CommWorld = NativeLibrary.GetExport(library, "ompi_mpi_comm_world"), Byte = NativeLibrary.GetExport(library, "ompi_mpi_byte"), ErrorsReturn = NativeLibrary.GetExport(library, "ompi_mpi_errors_return"),
        InPlace = 1, StatusIgnore = 0, ThreadSerialized = 2, AnySource = -1, StatusBytes = 24, StatusSource = 0, StatusTag = 4, StatusError = 8,
    };

    /// <summary>The ABI of a library, by what it exports and says itself; file names are no proof.</summary>
    /// <param name="library">Its handle.</param>
    public static unsafe MpiAbi Of(nint library)
    {
        if (NativeLibrary.TryGetExport(library, "MPI_Abi_get_version", out var get))
        {
            int major = -1, minor = -1;
            if (((delegate* unmanaged<int*, int*, int>)get)(&major, &minor) == 0 && major > 0) return Standard;
        }

        return NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _) ? OpenMpi(library) : Mpich;
    }
}
