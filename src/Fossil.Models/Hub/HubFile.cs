using System.Security.Cryptography;
using System.Text;

namespace Fossil.Models.Hub;

/// <summary>What the hub, or a proxy before it, says about a file.</summary>
/// <param name="Commit">The commit that the revision is.</param>
/// <param name="Hash">
/// The hash of the content, in lower-case hexadecimal digits: SHA-256 of large files (64), git's hash of others (40; proxies send plain SHA-1 too). Null where the
/// ETag is none of these, as caches that make their own have it.
/// </param>
/// <param name="IsHubs">Whether the hash is the hub's own word. One that a proxy made may be of something else, e.g. of the file's name and date.</param>
/// <param name="Size">Bytes; null where nothing says.</param>
/// <param name="Location">Where the content is.</param>
internal sealed record HubFile(string Commit, string? Hash, bool IsHubs, long? Size, Uri Location)
{
    private const int Sha1Digits = 40;
    private const int Sha256Digits = 64;

    /// <summary>Whether an ETag is a hash that can be compared.</summary>
    public static bool IsHash(string etag) => etag.Length is Sha1Digits or Sha256Digits && etag.All(char.IsAsciiHexDigit);

    /// <summary>Whether a file has the size, as far as it is known.</summary>
    public bool HasSize(string path) => Size is not { } size || SizeOf(path) == size;

    /// <summary>Bytes of a file, of a link those of what it leads to.</summary>
    public static long SizeOf(string path)
    {
        using var file = File.OpenHandle(path);
        return RandomAccess.GetLength(file);
    }

    /// <summary>Whether a content has the hash; not where there is none.</summary>
    public async Task<bool> HasHashAsync(string path, CancellationToken cancellationToken)
    {
        if (Hash is null) return false;
        if (Hash.Length == Sha256Digits) return await Sha256Async(path, cancellationToken).ConfigureAwait(false) == Hash;

        // Git hashes a header before the content.
        var prefix = Encoding.ASCII.GetBytes($"blob {SizeOf(path)}\0");
        return await HashAsync(path, HashAlgorithmName.SHA1, prefix, cancellationToken).ConfigureAwait(false) == Hash
            || await HashAsync(path, HashAlgorithmName.SHA1, [], cancellationToken).ConfigureAwait(false) == Hash;
    }

    /// <summary>SHA-256 of a content.</summary>
    public static Task<string> Sha256Async(string path, CancellationToken cancellationToken) => HashAsync(path, HashAlgorithmName.SHA256, [], cancellationToken);

    /// <summary>The name under which a content without a hash arrives: one for each file of a commit.</summary>
    public string ArrivalName(string fileName) => Hash ?? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Commit}/{fileName}")));

    private static async Task<string> HashAsync(string path, HashAlgorithmName algorithm, byte[] prefix, CancellationToken cancellationToken)
    {
        await using var stream = File.OpenRead(path);
        using var hash = IncrementalHash.CreateHash(algorithm);
        hash.AppendData(prefix);
        var buffer = new byte[1 << 18];
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count) hash.AppendData(buffer, 0, count);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
