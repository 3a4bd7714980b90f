using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fossil.Serialization;

/// <summary>What POSIX does with an open folder, and .NET does not offer: flushing its entries, and locking it.</summary>
internal static partial class UnixFolder
{
    private const int ReadOnly = 0;
    private const int LinuxCloseOnExec = 0x80000;
    private const int MacCloseOnExec = 0x1000000;
    private const int InvalidArgument = 22;
    private const int LinuxWouldBlock = 11;
    private const int MacWouldBlock = 35;
    private const int LockShared = 1;
    private const int LockExclusive = 2;
    private const int LockWithoutWaiting = 4;

    /// <summary>Opens a folder.</summary>
    /// <exception cref="IOException">The operating system refused.</exception>
    public static SafeFileHandle Open(string folder)
    {
        // A child process must not inherit the descriptor: a lock lasts for as long as anybody has it open.
        var descriptor = Open(folder, ReadOnly | (OperatingSystem.IsMacOS() ? MacCloseOnExec : LinuxCloseOnExec));
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw LastError(folder, "opened");
    }

    /// <summary>Flushes the entries of <paramref name="folder"/> to the disk. Windows does that itself.</summary>
    /// <exception cref="IOException">The operating system refused.</exception>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        using var handle = Open(folder);

        // Some network file systems cannot flush a folder and answer EINVAL: the rename stands all the same.
        if (Synchronize(handle) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument) throw LastError(folder, "flushed to the disk");
    }

    /// <summary>Locks an open folder until it is closed, by whatever end of the process.</summary>
    /// <returns>Whether it is locked now; null where the file system knows no locks.</returns>
    public static bool? TryLock(SafeFileHandle folder, bool exclusive)
    {
        if (Lock(folder, (exclusive ? LockExclusive : LockShared) | LockWithoutWaiting) == 0) return true;
        return Marshal.GetLastPInvokeError() == (OperatingSystem.IsMacOS() ? MacWouldBlock : LinuxWouldBlock) ? false : null;
    }

    private static IOException LastError(string folder, string what) => new($"The folder '{folder}' could not be {what}: {Marshal.GetLastPInvokeErrorMessage()}.");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Synchronize(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle file, int operation);
}
