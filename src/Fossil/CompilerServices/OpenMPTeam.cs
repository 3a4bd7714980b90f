using System.Runtime.InteropServices;

namespace Fossil.CompilerServices;

/// <summary>
/// The threads that libtorch's own operations run on, where libtorch uses GNU OpenMP (Linux). They spin for a while after each operation, so a kernel on them
/// starts within a microsecond or two, while a thread of another pool would have to fight them for a core.
/// </summary>
internal static unsafe class OpenMPTeam
{
    private static readonly delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void> Parallel = Find();

    /// <summary>Whether this process has such threads.</summary>
    public static bool IsAvailable => Parallel != null;

    /// <summary>Runs <paramref name="work"/> on <paramref name="threads"/> threads at once, the caller among them; returns when all are done.</summary>
    public static void Run(IThreadPoolWorkItem work, int threads)
    {
        var handle = GCHandle.Alloc(work);
        try
        {
            Parallel(&Enter, GCHandle.ToIntPtr(handle), (uint)threads, 0);
        }
        finally
        {
            handle.Free();
        }
    }

    [UnmanagedCallersOnly]
    private static void Enter(nint work) => ((IThreadPoolWorkItem)GCHandle.FromIntPtr(work).Target!).Execute();

    /// <summary>GOMP_parallel of the very library that libtorch has loaded: another copy would bring threads of its own.</summary>
    private static delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void> Find()
    {
        const string Maps = "/proc/self/maps";
        if (!OperatingSystem.IsLinux() || !File.Exists(Maps)) return null;
        var library = File.ReadLines(Maps).Select(line => line[(line.IndexOf('/') + 1)..]).FirstOrDefault(path => Path.GetFileName(path).StartsWith("libgomp", StringComparison.Ordinal));
        return library is not null && NativeLibrary.TryLoad("/" + library, out var handle) && NativeLibrary.TryGetExport(handle, "GOMP_parallel", out var address)
            ? (delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void>)address
            : null;
    }
}
