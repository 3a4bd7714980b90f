using System.Runtime.InteropServices;

namespace Fossil.CompilerServices;

/// <summary>
/// The threads that libtorch's own operations run on, where libtorch uses GNU OpenMP (Linux). They spin for a while after each operation, so a kernel on them
/// starts within a microsecond or two, while a thread of another pool would have to fight them for a core.
/// </summary>
internal static unsafe class OpenMPTeam
{
    private static readonly delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void> Parallel =
        (delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void>)Find();

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

    /// <summary>
    /// The address of GOMP_parallel that libtorch itself calls; 0 where there is none. Another copy, which some other library may have loaded, would bring threads of
    /// its own that fight libtorch's for the cores. So it is looked up as the dynamic linker does for libtorch: what is global to the process comes first (LD_PRELOAD),
    /// then what libtorch depends on.
    /// </summary>
    internal static nint Find()
    {
        const string Function = "GOMP_parallel";
        if (!OperatingSystem.IsLinux()) return 0;
        if (NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), Function, out var address)) return address;
        return NativeLibrary.TryLoad(NativeTensor.Library, typeof(OpenMPTeam).Assembly, searchPath: null, out var libtorch) && NativeLibrary.TryGetExport(libtorch, Function, out address)
            ? address
            : 0;
    }

    [UnmanagedCallersOnly]
    private static void Enter(nint work) => ((IThreadPoolWorkItem)GCHandle.FromIntPtr(work).Target!).Execute();
}
