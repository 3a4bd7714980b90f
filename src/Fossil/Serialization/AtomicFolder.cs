using System.Text.Json;
using System.Text.Json.Serialization;

namespace Fossil.Serialization;

/// <summary>
/// Writes several files of a folder so that they change together, whenever the process or the machine stops. All new contents
/// are complete on the disk under hidden names before a journal, itself written atomically, lists them; only then are they renamed.
/// A process that stops before the journal is there has changed nothing; one that stops after it is finished by whoever comes next.
/// </summary>
/// <remarks>
/// Other files of the folder are left alone. Files whose content does not change are not touched, so that saving
/// with an unchanged configuration comes down to one rename. At most one process at a time may write to a folder.
/// </remarks>
public static partial class AtomicFolder
{
    private const string Journal = ".fossil.journal";
    private const int JournalBytesAtMost = 1 << 20;

    /// <summary>Writes the files atomically. The folder is created where it does not exist.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="files">File names and what writes their content; where one throws, no file changes.</param>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public static void Write(string folder, params IReadOnlyList<(string Name, Action<Stream> Write)> files)
    {
        folder = Path.GetFullPath(folder);
        var temporaries = new List<TemporaryFile>();
        try
        {
            Directory.CreateDirectory(folder);
            Recover(folder);
            TemporaryFile.DeleteAbandoned(folder, Journal);
            foreach (var (name, write) in files)
            {
                if (Directory.Exists(Path.Combine(folder, name))) throw new IOException($"'{name}' in it is a folder.");
                TemporaryFile.DeleteAbandoned(folder, name);
                temporaries.Add(TemporaryFile.Create(folder, name, write));
            }

            temporaries.RemoveAll(file => DisposeIfUnchanged(folder, file));
            if (temporaries.Count > 1) WriteJournal(folder, temporaries);
            foreach (var file in temporaries) file.Rename();
            FolderFlush.Flush(folder);
            if (temporaries.Count > 1) File.Delete(Path.Combine(folder, Journal));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new AtomicWriteException(folder, exception);
        }
        finally
        {
            foreach (var file in temporaries) file.Dispose();
        }
    }

    /// <summary>Finishes what a stopped process had begun to rename. Readers call it before they open the files.</summary>
    /// <exception cref="IOException">The folder holds a journal, but its files cannot be renamed.</exception>
    public static void Recover(string folder)
    {
        var path = Path.Combine(folder, Journal);
        if (!File.Exists(path)) return;
        foreach (var (temporary, final) in ReadJournal(path))
        {
            // Where the hidden file is gone, the stopped process had already renamed it.
            if (File.Exists(Path.Combine(folder, temporary))) File.Move(Path.Combine(folder, temporary), Path.Combine(folder, final), overwrite: true);
        }

        FolderFlush.Flush(folder);
        File.Delete(path);
    }

    private static bool DisposeIfUnchanged(string folder, TemporaryFile file)
    {
        if (!SameContent(Path.Combine(folder, file.FinalName), Path.Combine(folder, file.Name))) return false;
        file.Dispose();
        return true;
    }

    private static bool SameContent(string old, string @new)
    {
        const int BufferBytes = 1 << 16;
        if (!File.Exists(old) || new FileInfo(old).Length != new FileInfo(@new).Length) return false;
        using var left = new FileStream(old, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        using var right = new FileStream(@new, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        Span<byte> leftBytes = new byte[BufferBytes];
        Span<byte> rightBytes = new byte[BufferBytes];
        while (true)
        {
            var count = left.ReadAtLeast(leftBytes, BufferBytes, throwOnEndOfStream: false);
            if (right.ReadAtLeast(rightBytes, BufferBytes, throwOnEndOfStream: false) != count) return false;
            if (!leftBytes[..count].SequenceEqual(rightBytes[..count])) return false;
            if (count < BufferBytes) return true;
        }
    }

    private static void WriteJournal(string folder, List<TemporaryFile> temporaries)
    {
        var names = temporaries.ToDictionary(file => file.Name, file => file.FinalName);
        using var journal = TemporaryFile.Create(folder, Journal, stream => JsonSerializer.Serialize(stream, names, JournalJson.Default.DictionaryStringString));
        journal.Rename();
        FolderFlush.Flush(folder);
    }

    /// <summary>The journal's renames. A folder may come from anywhere, so names that lead out of it are refused.</summary>
    private static Dictionary<string, string> ReadJournal(string path)
    {
        if (new FileInfo(path).Length > JournalBytesAtMost) throw new InvalidDataException($"'{path}' is too long to be a journal of AtomicFolder. Delete it.");
        Dictionary<string, string>? names;
        try
        {
            names = JsonSerializer.Deserialize(File.ReadAllBytes(path), JournalJson.Default.DictionaryStringString);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"'{path}' is no journal of AtomicFolder. Delete it.", exception);
        }

        foreach (var (temporary, final) in names ?? [])
        {
            if (final is null || Path.GetFileName(final) != final || final is "" or "." or ".." || !TemporaryFile.IsName(temporary, final))
            {
                throw new InvalidDataException($"'{path}' names files that AtomicFolder never writes. Delete it.");
            }
        }

        return names ?? [];
    }

    /// <summary>The journal's JSON, without reflection: a trimmed program has none for it.</summary>
    [JsonSerializable(typeof(Dictionary<string, string>))]
    private sealed partial class JournalJson : JsonSerializerContext;
}
