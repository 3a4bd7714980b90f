namespace Fossil.Serialization;

/// <summary>
/// New content of a file, complete and flushed, under a hidden name beside it. Disposing deletes it where it was not renamed.
/// It stays open and locked until then, so that another writer does not take it for one that a killed process left behind.
/// </summary>
internal sealed class TemporaryFile : IDisposable
{
    private const int BufferBytes = 1 << 20;
    private readonly string folder;
    private readonly FileStream stream;
    private bool renamed;

    private TemporaryFile(string folder, string finalName)
    {
        this.folder = folder;
        FinalName = finalName;
        Name = $".{finalName}.{Guid.NewGuid():N}.tmp";
        stream = new FileStream(Path.Combine(folder, Name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, BufferBytes);
    }

    /// <summary>The hidden name.</summary>
    public string Name { get; }

    /// <summary>The name it shall get.</summary>
    public string FinalName { get; }

    /// <summary>Writes and flushes the content.</summary>
    public static TemporaryFile Create(string folder, string finalName, Action<Stream> write)
    {
        var file = new TemporaryFile(folder, finalName);
        try
        {
            write(file.stream);
            file.stream.Flush(flushToDisk: true);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Gives the file its final name, in place of what had it.</summary>
    public void Rename()
    {
        // Windows renames no open file.
        if (OperatingSystem.IsWindows()) stream.Dispose();
        File.Move(Path.Combine(folder, Name), Path.Combine(folder, FinalName), overwrite: true);
        renamed = true;
    }

    /// <summary>Whether <paramref name="name"/> is a hidden name for <paramref name="finalName"/>.</summary>
    public static bool IsName(string name, string finalName) =>
        name.Length == finalName.Length + 38
        && name.StartsWith($".{finalName}.", StringComparison.Ordinal)
        && name.EndsWith(".tmp", StringComparison.Ordinal)
        && Guid.TryParseExact(name.AsSpan()[(finalName.Length + 2)..^4], "N", out _);

    /// <summary>Deletes the hidden files that killed processes left behind.</summary>
    public static void DeleteAbandoned(string folder, string finalName)
    {
        foreach (var path in Directory.EnumerateFiles(folder, $".{finalName}.*.tmp"))
        {
            if (IsName(Path.GetFileName(path), finalName) && IsAbandoned(path)) File.Delete(path);
        }
    }

    private static bool IsAbandoned(string path)
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

    /// <summary>Closes the file, and deletes it where it was not renamed.</summary>
    public void Dispose()
    {
        try
        {
            stream.Dispose();
        }
        finally
        {
            // On a full disk closing fails too, as it flushes once more: what is there must go all the same.
            if (!renamed) File.Delete(Path.Combine(folder, Name));
        }
    }
}
