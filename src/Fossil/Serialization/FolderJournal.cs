using System.Text.Json;

namespace Fossil.Serialization;

/// <summary>One name of a folder that a save changes.</summary>
/// <param name="Hidden">Where its new content is, or, for a name that shall go, where its old content will be put.</param>
/// <param name="Final">The name.</param>
internal readonly record struct FolderChange(string Hidden, string Final)
{
    /// <summary>Whether the name shall go.</summary>
    public bool IsRemoval => HiddenName.IsOld(Hidden);

    /// <summary>Where its old content is put.</summary>
    public string Old => IsRemoval ? Hidden : HiddenName.OldOf(Hidden);
}

/// <summary>The journal of a folder: the changes of a save that counts as done. A JSON object from hidden to final name; see <see cref="AtomicFolder"/>.</summary>
internal sealed class FolderJournal
{
    /// <summary>The journal's name.</summary>
    public const string FileName = ".fossil.journal";

    private const int BytesAtMost = 1 << 20;
    private readonly string folder;

    private FolderJournal(string folder, IReadOnlyList<FolderChange> changes) => (this.folder, Changes) = (folder, changes);

    /// <summary>The changes.</summary>
    public IReadOnlyList<FolderChange> Changes { get; }

    /// <summary>The path of a folder's journal.</summary>
    public static string PathIn(string folder) => Path.Combine(folder, FileName);

    /// <summary>Reads a folder's journal; null where it has none. A folder may come from anywhere, so names that lead out of it are refused.</summary>
    /// <exception cref="InvalidDataException">It is no journal.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static FolderJournal? Read(string folder)
    {
        var path = PathIn(folder);
        byte[] json;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (stream.Length > BytesAtMost) throw new InvalidDataException($"'{path}' is too long to be a journal of {nameof(AtomicFolder)}. Delete it.");
            json = new byte[stream.Length];
            stream.ReadExactly(json);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(json);
            return new FolderJournal(folder, [.. document.RootElement.EnumerateObject().Select(entry => Change(path, entry.Name, entry.Value.GetString()))]);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"'{path}' is no journal of {nameof(AtomicFolder)}. Delete it.", exception);
        }
    }

    /// <summary>Writes a journal.</summary>
    public static void Write(Stream stream, IEnumerable<FolderChange> changes)
    {
        using var writer = new Utf8JsonWriter(stream);
        writer.WriteStartObject();
        foreach (var change in changes) writer.WriteString(change.Hidden, change.Final);
        writer.WriteEndObject();
    }

    /// <summary>Where the content of a name is, before, while and after the changes are made.</summary>
    public string PathOf(string name)
    {
        foreach (var change in Changes)
        {
            // A name that shall go has gone once its old content is put aside; one that shall get a content has it once that is not hidden any more.
            var hidden = Path.Combine(folder, change.Hidden);
            if (change.Final == name && FileOperations.Exists(hidden) != change.IsRemoval) return hidden;
        }

        return Path.Combine(folder, name);
    }

    private static FolderChange Change(string path, string hidden, string? final) =>
        final is not (null or "" or "." or "..") && Path.GetFileName(final) == final && HiddenName.FinalOf(hidden) == final && Path.GetFileName(hidden) == hidden
            ? new FolderChange(hidden, final)
            : throw new InvalidDataException($"'{path}' names files that {nameof(AtomicFolder)} never writes. Delete it.");
}
