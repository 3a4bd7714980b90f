using System.Runtime.InteropServices;

namespace Fossil.Training;

/// <summary>
/// Where glibc takes memory for large tensors. It begins by asking the system for each, and stops doing so at sizes that were freed once: then tensors of a pass, long and short-lived ones of some
/// megabytes each in turns, lie in one heap whose gaps fit nothing, which in training takes about as much again as the tensors themselves.
/// </summary>
internal static partial class LargeAllocations
{
    // glibc's own names.
    private const string Variable = "MALLOC_MMAP_THRESHOLD_";
    private const int MmapThreshold = -3, TrimThreshold = -1;

    // Bytes from which on asking the system, and clearing what it gives, costs little beside what is computed with them.
    private const int Smallest = 1 << 22;

    // What stays for the next tensor at the end of the heap: of itself glibc has 128 KB there once the other limit is set, and a tile's pages would be asked for and cleared again for each product.
    private const int Spare = 4 * Smallest;

    private static readonly Lazy<bool> Applied = new(Apply);

    /// <summary>Has each large tensor lie in memory of its own, which the system gets back with it; for the whole process, and unless its environment says otherwise (MALLOC_MMAP_THRESHOLD_).</summary>
    /// <returns>Whether it could be said.</returns>
    public static bool KeepApart() => Applied.Value;

    private static bool Apply()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(Variable) is not null) return false;
        // Other C libraries of Linux have neither the setting nor the trouble.
        return NativeLibrary.TryLoad("libc.so.6", out var libc) && NativeLibrary.TryGetExport(libc, "mallopt", out _) && SetOption(MmapThreshold, Smallest) == 1 && SetOption(TrimThreshold, Spare) == 1;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
