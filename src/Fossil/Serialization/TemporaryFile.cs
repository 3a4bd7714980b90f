namespace Fossil.Serialization;

/// <summary>
/// New content of a file under a hidden name beside it. Disposing deletes it unless it was given away.
/// It stays open and locked until then, so that another writer does not take it for one that a killed process left behind.
/// </summary>
internal sealed class TemporaryFile : IDisposable
{
    private const int BufferBytes = 1 << 20;
    private readonly FileStream stream;
    private bool isGivenAway;

    private TemporaryFile(string folder, string finalName)
    {
        FinalName = finalName;
        Name = HiddenName.New(finalName);
        Path = System.IO.Path.Combine(folder, Name);
        stream = FileOperations.Create(Path, FileShare.Read, BufferBytes);
    }

    /// <summary>The hidden name.</summary>
    public string Name { get; }

    /// <summary>The name it shall get.</summary>
    public string FinalName { get; }

    /// <summary>The file under its hidden name.</summary>
    public string Path { get; }

    /// <summary>Creates an empty one. The caller holds the folder's lock: between its creation and its own lock it looks abandoned.</summary>
    public static TemporaryFile Create(string folder, string finalName) => new(folder, finalName);

    /// <summary>Writes and flushes the content.</summary>
    public void Write(Action<Stream> write)
    {
        FileOperations.Write(stream, write);
        FileOperations.Flush(stream);
    }

    /// <summary>Makes it ready to be renamed: Windows renames no open file. The caller holds the folder's lock, under which alone files are taken for abandoned.</summary>
    public void Close()
    {
        if (OperatingSystem.IsWindows()) stream.Dispose();
    }

    /// <summary>Leaves the file to the save that it has become part of.</summary>
    public void GiveAway() => isGivenAway = true;

    /// <summary>
    /// Whether nobody has a file open; where that cannot be known, it is false. Files are locked by .NET as they are opened, and the lock goes with the process.
    /// </summary>
    public static bool IsAbandoned(string path)
    {
        try
        {
            using var probe = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Closes the file, and deletes it where it was not given away.</summary>
    public void Dispose()
    {
        try
        {
            stream.Dispose();
        }
        catch (Exception exception) when (!isGivenAway && FileOperations.IsFailure(exception))
        {
            // On a full disk closing fails too, as it flushes once more. The content is not wanted any more.
        }

        if (!isGivenAway) FileOperations.DeleteLeftover(Path);
    }
}
