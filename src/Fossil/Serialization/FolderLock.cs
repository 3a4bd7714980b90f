using System.Collections.Concurrent;
using System.Diagnostics;

namespace Fossil.Serialization;

/// <summary>
/// The lock of a folder among the threads and processes of a machine; the operating system releases it with the process that holds it, however that ends.
/// On Unix it is a lock on the folder itself (flock), which needs no permission to write and leaves no file; on Windows an open file that goes when it is closed.
/// It is held while names change or are looked up, never while contents are written.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    private const string WindowsFile = ".fossil.lock";
    private static readonly TimeSpan WriterPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReaderPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LastReader = TimeSpan.FromSeconds(0.2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    // Readers that follow each other closely would never let a writer in. After one of this process let go of a folder, the next ones leave it alone for so long.
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(10);
    private const int FoldersAtMost = 256;
    private static readonly ConcurrentDictionary<string, long> LastRead = new();

    private readonly IDisposable handle;
    private readonly string? readFolder;

    private FolderLock(IDisposable handle, string? readFolder) => (this.handle, this.readFolder) = (handle, readFolder);

    /// <summary>Waits for the folder, to change names in it. Where the file system knows no locks, nobody is kept out.</summary>
    /// <exception cref="IOException">Another process did not let go of it, or it cannot be opened.</exception>
    public static FolderLock Exclusive(string folder) => Acquire(folder, exclusive: true, WriterPatience)
        ?? throw new IOException($"Another process has held the folder '{folder}' for {WriterPatience.TotalSeconds:0} seconds. Wait for it, or end it.");

    /// <summary>Waits until no names change in the folder.</summary>
    /// <returns>Null where it cannot be locked, as in a folder that does not exist: then one reads what is there.</returns>
    public static FolderLock? Shared(string folder)
    {
        while (LastRead.TryGetValue(folder, out var last) && Gap - Stopwatch.GetElapsedTime(last) is var rest && rest > TimeSpan.Zero) Thread.Sleep(rest);
        try
        {
            return Acquire(folder, exclusive: false, ReaderPatience);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Lets go of the folder.</summary>
    public void Dispose()
    {
        if (readFolder is not null)
        {
            if (LastRead.Count >= FoldersAtMost) LastRead.Clear();
            LastRead[readFolder] = Stopwatch.GetTimestamp();
        }

        handle.Dispose();
    }

    private static FolderLock? Acquire(string folder, bool exclusive, TimeSpan patience)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            var waited = Stopwatch.GetElapsedTime(started);
            if ((OperatingSystem.IsWindows() ? TryFile(folder, exclusive, waited) : TryFolder(folder, exclusive)) is { } handle) return new FolderLock(handle, exclusive ? null : folder);
            if (waited > patience) return null;
            Thread.Sleep(Pause);
        }
    }

    private static IDisposable? TryFolder(string folder, bool exclusive)
    {
        var handle = UnixFolder.Open(folder);
        if (UnixFolder.TryLock(handle, exclusive) is not false) return handle;
        handle.Dispose();
        return null;
    }

    private static FileStream? TryFile(string folder, bool exclusive, TimeSpan waited)
    {
        try
        {
            var share = exclusive ? FileShare.None : FileShare.ReadWrite | FileShare.Delete;
            return new FileStream(Path.Combine(folder, WindowsFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, share, bufferSize: 1, FileOptions.DeleteOnClose);
        }
        catch (Exception exception) when (exception is IOException ? Directory.Exists(folder) : exception is UnauthorizedAccessException && waited < LastReader)
        {
            // A file that its last reader is closing refuses access for a moment, as one does where nobody may write.
            return null;
        }
    }
}
