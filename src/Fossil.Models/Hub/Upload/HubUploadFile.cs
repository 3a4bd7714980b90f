using System.Security.Cryptography;
using System.Text;

namespace Fossil.Models.Hub;

/// <summary>A file that is uploaded.</summary>
internal sealed class HubUploadFile
{
    private const int SampleBytes = 512;

    // What other programs and this library keep for themselves in a folder.
    private static readonly string[] OwnFolders = [".git", ".cache"];

    private readonly DateTime written;
    private string? sha256;

    private HubUploadFile(string path, string name)
    {
        var info = new FileInfo(path);
        (Path, Name, Size, written) = (path, name, info.Length, info.LastWriteTimeUtc);
    }

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Its name in the repository, with folders.</summary>
    public string Name { get; }

    /// <summary>Bytes.</summary>
    public long Size { get; }

    /// <summary>Whether its content goes to the store for large files, and the commit names its hash only. The hub decides.</summary>
    public bool IsLarge { get; set; }

    /// <summary>The files in a folder and its folders, in order; not what begins with <c>.fossil.</c>, <c>.git</c> or <c>.cache</c>, and no temporary files of a writer.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="target">The folder in the repository; empty for its root.</param>
    public static IReadOnlyList<HubUploadFile> Of(string folder, string target) =>
    [
        .. from path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
           let name = System.IO.Path.GetRelativePath(folder, path).Replace('\\', '/')
           let segments = name.Split('/')
           where !segments.Any(OwnFolders.Contains) && !segments[^1].StartsWith(".fossil.", StringComparison.Ordinal) && Serialization.HiddenName.FinalOf(segments[^1]) is null
           select new HubUploadFile(path, target.Length == 0 ? name : $"{target}/{name}"),
    ];

    /// <summary>The first bytes, by which the hub tells text from other content.</summary>
    public byte[] Sample()
    {
        using var file = File.OpenHandle(Path);
        var bytes = new byte[Math.Min(SampleBytes, Size)];
        return bytes[..RandomAccess.Read(file, bytes, 0)];
    }

    /// <summary>SHA-256 of the content.</summary>
    public async Task<string> Sha256Async(CancellationToken cancellationToken) => sha256 ??= await HubFile.Sha256Async(Path, cancellationToken).ConfigureAwait(false);

    /// <summary>Whether the hub has the same content by this hash already: SHA-256 of large files, git's hash of others.</summary>
    public async Task<bool> IsAsync(string hash, CancellationToken cancellationToken)
    {
        if (IsLarge) return await Sha256Async(cancellationToken).ConfigureAwait(false) == hash;
        var content = await File.ReadAllBytesAsync(Path, cancellationToken).ConfigureAwait(false);
        return Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content])) == hash;
    }

    /// <summary>Refuses a file that is another than when it was looked at first: what was uploaded would be parts of both.</summary>
    /// <exception cref="HubException">It is.</exception>
    public void CheckUnchanged()
    {
        var info = new FileInfo(Path);
        if (!info.Exists || info.Length != Size || info.LastWriteTimeUtc != written) throw new HubException(HubError.ChecksumMismatch, $"'{Path}' was changed while it was uploaded. Nothing was committed; try again when it is complete.");
    }
}
