using System.Security.Cryptography;
using System.Text;
using Fossil.Serialization;

namespace Fossil.Cuda;

/// <summary>
/// Compiled kernels on disk, each under the hash of all that it depends on. An entry is written as a whole or not at all, so several processes may share the folder; one that is damaged counts as
/// missing, and is written again.
/// </summary>
/// <param name="folder">Where they lie.</param>
internal sealed class CudaCache(string folder)
{
    private bool isReported;

    /// <summary>The user's: FOSSIL_CUDA_CACHE, or a folder among those of the user's local data.</summary>
    public static CudaCache OfUser() => new(
        Environment.GetEnvironmentVariable("FOSSIL_CUDA_CACHE") is { Length: > 0 } named ? named : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "fossil", "cuda"));

    /// <summary>The entry for what <paramref name="dependencies"/> say, or what <paramref name="compile"/> makes now.</summary>
    public byte[] Get(IEnumerable<string> dependencies, Func<byte[]> compile)
    {
        var path = Path.Combine(folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', dependencies)))) + ".cubin");
        if (Read(path) is { } known) return known;
        var image = compile();
        try
        {
            AtomicFile.Write(path, stream =>
            {
                stream.Write(SHA256.HashData(image));
                stream.Write(image);
            });
        }
        catch (Exception exception) when (exception is AtomicWriteException or IOException or UnauthorizedAccessException)
        {
            if (!Interlocked.Exchange(ref isReported, true)) FossilWarnings.Report($"Compiled CUDA kernels cannot be kept in {folder}, so each process compiles them: {exception.Message} Name another folder in FOSSIL_CUDA_CACHE.");
        }
        return image;
    }

    /// <summary>An entry; null where there is none that is whole.</summary>
    private static byte[]? Read(string path)
    {
        try
        {
            if (!File.Exists(path)) return null;
            var bytes = File.ReadAllBytes(path);
            return bytes.Length > SHA256.HashSizeInBytes && SHA256.HashData(bytes.AsSpan(SHA256.HashSizeInBytes)).AsSpan().SequenceEqual(bytes.AsSpan(0, SHA256.HashSizeInBytes)) ? bytes[SHA256.HashSizeInBytes..] : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Another process may be about to replace it; it is compiled once more.
            return null;
        }
    }
}
