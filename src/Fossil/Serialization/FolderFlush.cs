using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fossil.Serialization;

/// <summary>Flushes a folder's entries to the disk, so that a rename in it outlives a power failure.</summary>
internal static partial class FolderFlush
{
    private const int ReadOnly = 0;
    private const int InvalidArgument = 22;

    /// <summary>Flushes <paramref name="folder"/>. Windows does that itself.</summary>
    /// <exception cref="IOException">The operating system refused.</exception>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        var descriptor = Open(folder, ReadOnly);
        if (descriptor < 0) throw LastError(folder);
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);

        // Some network file systems cannot flush a folder and answer EINVAL: the rename stands all the same.
        if (Synchronize(handle) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument) throw LastError(folder);
    }

    private static IOException LastError(string folder) => new($"The folder '{folder}' could not be flushed to the disk: {Marshal.GetLastPInvokeErrorMessage()}.");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Synchronize(SafeFileHandle file);
}
