using System.Text.RegularExpressions;
using Fossil.Serialization;

namespace Fossil.Models.Hub;

/// <summary>
/// The part of the cache that belongs to one model, in huggingface_hub's layout: contents by their hash in <c>blobs</c>, a folder for each commit
/// in <c>snapshots</c> whose files are links to them, and the commit of each branch in <c>refs</c>.
/// </summary>
internal sealed partial class HubCache
{
    private const int LinuxWouldBlock = 11;
    private const int MacWouldBlock = 35;
    private const int WindowsSharingViolation = unchecked((int)0x80070020);

    private readonly string root;
    private readonly string locks;

    /// <summary>The cache of a model.</summary>
    /// <exception cref="HubException">It is no possible model id.</exception>
    public HubCache(string cacheFolder, string modelId)
    {
        var name = "models--" + CheckModelId(modelId).Replace("/", "--", StringComparison.Ordinal);
        root = Path.Combine(cacheFolder, name);
        locks = Path.Combine(cacheFolder, ".locks", name);
    }

    /// <summary>Whether it may be a model's id, with or without its owner.</summary>
    public static bool IsModelId(string modelId) => ModelIdPattern().IsMatch(modelId) && !modelId.Contains("--", StringComparison.Ordinal) && !modelId.Contains("..", StringComparison.Ordinal);

    /// <summary>A possible model id.</summary>
    /// <exception cref="HubException">It is none.</exception>
    public static string CheckModelId(string modelId) => IsModelId(modelId) ? modelId : throw new HubException(HubError.InvalidName, $"'{modelId}' is no model id. One looks like HuggingFaceTB/SmolLM2-135M-Instruct.");

    /// <summary>Whether it is the full hash of a commit, rather than the name of a branch or tag.</summary>
    public static bool IsCommit(string revision) => CommitPattern().IsMatch(revision);

    /// <summary>A revision that can be part of a path and an address.</summary>
    /// <exception cref="HubException">It leads elsewhere.</exception>
    public static string CheckRevision(string revision) => IsRelative(revision) ? revision : throw new HubException(HubError.InvalidName, $"'{revision}' is no revision; it is a branch, a tag or the hash of a commit.");

    /// <summary>A file name (with folders, separated by slashes) that stays inside the snapshot.</summary>
    /// <exception cref="HubException">It leads out of it.</exception>
    public static string CheckFileName(string fileName) => IsRelative(fileName) ? fileName : throw new HubException(HubError.InvalidName, $"'{fileName}' is no file name inside a model.");

    /// <summary>The commit that a revision was when it was last asked for; null where it never was.</summary>
    public string? FindCommit(string revision)
    {
        if (IsCommit(revision)) return revision;
        var path = Path.Combine(root, "refs", revision);
        return File.Exists(path) && File.ReadAllText(path).Trim() is var commit && IsCommit(commit) ? commit : null;
    }

    /// <summary>Remembers the commit of a revision.</summary>
    public void SetCommit(string revision, string commit)
    {
        if (FindCommit(revision) == commit) return;
        AtomicFile.Write(Path.Combine(root, "refs", revision), stream => stream.Write(System.Text.Encoding.ASCII.GetBytes(commit)));
    }

    /// <summary>The folder of a commit.</summary>
    public string Snapshot(string commit) => Path.Combine(root, "snapshots", commit);

    /// <summary>A file of a commit; null where the cache does not have it.</summary>
    public string? FindFile(string commit, string fileName) => Path.Combine(Snapshot(commit), fileName) is var path && File.Exists(path) ? path : null;

    /// <summary>Where a content is kept.</summary>
    public string Blob(string etag) => Path.Combine(root, "blobs", etag);

    /// <summary>Where a content is kept while it arrives.</summary>
    public string IncompleteBlob(string etag) => Blob(etag) + ".incomplete";

    /// <summary>Waits until no other process, Python's included, fetches the same content.</summary>
    public async Task<IDisposable> LockAsync(string etag, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(locks);
        while (true)
        {
            try
            {
                // Without sharing, .NET takes the lock that Python's filelock takes too: flock on Unix.
                return new FileStream(Path.Combine(locks, etag + ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException exception) when (exception.HResult is LinuxWouldBlock or MacWouldBlock or WindowsSharingViolation)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>A file of a commit that is there in full; null where it is not, was cut short, or leads to another content.</summary>
    public string? FindWhole(HubFile file, string fileName)
    {
        if (FindFile(file.Commit, fileName) is not { } path || !file.HasSize(path)) return null;
        return new FileInfo(path).LinkTarget is { } target && file is { IsHubs: true, Hash: { } hash } && Path.GetFileName(target) != hash ? null : path;
    }

    /// <summary>The files of that name in all commits that are no links.</summary>
    public IEnumerable<string> CopiesOf(string fileName) =>
        Directory.Exists(Path.Combine(root, "snapshots"))
            ? Directory.EnumerateDirectories(Path.Combine(root, "snapshots")).Select(commit => Path.Combine(commit, fileName)).Where(path => new FileInfo(path) is { Exists: true, LinkTarget: null })
            : [];

    /// <summary>Makes a copy of another commit's file a file of a commit.</summary>
    /// <returns>The file.</returns>
    public string Copy(string source, string commit, string fileName)
    {
        var path = Path.Combine(Snapshot(commit), fileName);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream =>
        {
            using var content = File.OpenRead(source);
            content.CopyTo(stream);
        });
        return path;
    }

    /// <summary>Makes a content a file of a commit: by a link, or, where links are not possible, by moving it there, so that it lies on the disk once.</summary>
    /// <returns>The file.</returns>
    public string Link(string commit, string fileName, string hash)
    {
        var path = Path.Combine(Snapshot(commit), fileName);
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        var temporary = Path.Combine(folder, HiddenName.New(Path.GetFileName(path)));
        try
        {
            FileOperations.CreateLink(temporary, Path.GetRelativePath(folder, Blob(hash)));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            temporary = Blob(hash);
        }

        try
        {
            FileOperations.Move(temporary, path);
        }
        catch when (temporary != Blob(hash))
        {
            FileOperations.DeleteLeftover(temporary);
            throw;
        }

        return path;
    }

    private static bool IsRelative(string path) =>
        path.Length > 0 && path.AsSpan().IndexOfAny("\\:*?\"<>|\0") < 0 && Array.TrueForAll(path.Split('/'), part => part.Length > 0 && part is not ("." or ".."));

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?\z")]
    private static partial Regex ModelIdPattern();

    [GeneratedRegex(@"^[0-9a-f]{40}\z")]
    private static partial Regex CommitPattern();
}
