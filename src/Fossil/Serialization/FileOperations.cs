using System.Diagnostics;

namespace Fossil.Serialization;

/// <summary>
/// Every operation by which a save changes the file system. Each is announced before it happens, so that a test can let it fail, or stop all that
/// would follow as a kill does, at each of them in turn.
/// </summary>
internal static class FileOperations
{
    private const int MoveAttempts = 8;
    private const int WindowsSharingViolation = unchecked((int)0x80070020);
    private static readonly AsyncLocal<Action<string>?> Observer = new();

    /// <summary>Is told of each operation of this flow of control before it happens; what it throws, the operation throws.</summary>
    public static Action<string>? Before
    {
        get => Observer.Value;
        set => Observer.Value = value;
    }

    /// <summary>Whether it is the file system, and not the caller, that an operation failed by.</summary>
    public static bool IsFailure(Exception exception) =>
        exception is IOException or UnauthorizedAccessException

        // .NET reports EFBIG, a file above the limit of the file system or of the user, as this.
        || exception is ArgumentOutOfRangeException { ParamName: "value" };

    /// <summary>Whether there is an entry of that name: a file, a folder, or a link that leads nowhere.</summary>
    public static bool Exists(string path) => File.Exists(path) || Directory.Exists(path);

    /// <summary>Creates a folder and those above it, each on the disk before the next.</summary>
    public static void CreateFolder(string path)
    {
        if (Directory.Exists(path)) return;
        if (Path.GetDirectoryName(path) is { Length: > 0 } parent) CreateFolder(parent);
        Announce($"create folder {path}");
        Directory.CreateDirectory(path);
        if (Path.GetDirectoryName(path) is { Length: > 0 } holder) FlushFolder(holder);
    }

    /// <summary>Creates a file that does not exist yet.</summary>
    public static FileStream Create(string path, FileShare share, int bufferBytes)
    {
        Announce($"create {path}");
        return new FileStream(path, FileMode.CreateNew, FileAccess.Write, share, bufferBytes);
    }

    /// <summary>Writes the content of a file.</summary>
    public static void Write(FileStream stream, Action<Stream> write)
    {
        Announce($"write {stream.Name}");
        write(stream);
    }

    /// <summary>Flushes a file to the disk.</summary>
    public static void Flush(FileStream stream)
    {
        Announce($"flush {stream.Name}");
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Flushes a file to the disk that others wrote.</summary>
    public static void FlushFile(string path)
    {
        Announce($"flush {path}");

        // Windows flushes only for those who may write.
        using var file = File.OpenHandle(path, access: OperatingSystem.IsWindows() ? FileAccess.ReadWrite : FileAccess.Read);
        RandomAccess.FlushToDisk(file);
    }

    /// <summary>Flushes a folder's entries to the disk, so that a rename in it outlives a power failure.</summary>
    public static void FlushFolder(string folder)
    {
        Announce($"flush folder {folder}");
        UnixFolder.Flush(folder);
    }

    /// <summary>Creates a symbolic link, which not every file system and user can.</summary>
    public static void CreateLink(string path, string target)
    {
        Announce($"link {path}");
        File.CreateSymbolicLink(path, target);
    }

    /// <summary>Renames a file, over one that has the name, or a folder, where none has it.</summary>
    public static void Move(string from, string to)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Announce($"rename {from} to {to}");
                if (!File.Exists(from) && Directory.Exists(from)) Directory.Move(from, to);
                else File.Move(from, to, overwrite: true);
                return;
            }
            catch (Exception exception) when (attempt < MoveAttempts && IsHeldOpen(exception))
            {
                // A virus scanner or an indexer looks at new files of its own accord, and soon lets go of them.
                Thread.Sleep(10 * attempt);
            }
        }
    }

    /// <summary>Deletes a file.</summary>
    public static void Delete(string path)
    {
        Announce($"delete {path}");
        File.Delete(path);
    }

    /// <summary>Deletes a file or folder that counts for nothing. What cannot be deleted now is left to the next save.</summary>
    public static void DeleteLeftover(string path)
    {
        try
        {
            Announce($"delete {path}");
            if (Directory.Exists(path) && new FileInfo(path).LinkTarget is null) Directory.Delete(path, recursive: true);
            else File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Trace.TraceWarning($"{path} could not be removed: {exception.Message}");
        }
    }

    private static void Announce(string operation) => Before?.Invoke(operation);

    private static bool IsHeldOpen(Exception exception) =>
        exception.HResult == WindowsSharingViolation || (OperatingSystem.IsWindows() && exception is UnauthorizedAccessException);
}
