using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;

namespace Fossil.Models.Hub;

/// <summary>How far the fetching of a file is.</summary>
/// <param name="FileName">The file.</param>
/// <param name="BytesDone">Bytes that are there.</param>
/// <param name="BytesTotal">All bytes.</param>
public readonly record struct HubProgress(string FileName, long BytesDone, long BytesTotal);

/// <summary>
/// Fetches models from the Hugging Face hub into the cache that huggingface_hub uses too. What is there already is not fetched again, what
/// broke off is resumed, and everything is compared with the hub's hash before it gets its name.
/// </summary>
public sealed class HubClient : IDisposable
{
    private const string Weights = "model.safetensors";
    private const string WeightsIndex = "model.safetensors.index.json";
    private const int SmallETag = 40;
    private const int LargeETag = 64;

    private readonly HubOptions options;
    private readonly HubConnection connection;

    /// <summary>Creates a client.</summary>
    /// <param name="options">Where the hub and the cache are; what the environment asks for where null.</param>
    public HubClient(HubOptions? options = null)
    {
        this.options = options ?? HubOptions.FromEnvironment();
        connection = new HubConnection(this.options);
    }

    /// <summary>Fetches what loading a model takes: configuration, tokenizer and weights as safetensors, one file or several with their index.</summary>
    /// <param name="modelId">E.g. <c>HuggingFaceTB/SmolLM2-135M-Instruct</c>.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <returns>The folder with the files.</returns>
    /// <exception cref="HubException">Something could not be fetched, or there are no such weights; <see cref="HubException.Error"/> says why.</exception>
    public async Task<string> DownloadModelAsync(string modelId, string revision = "main", IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var cache = new HubCache(options.CacheFolder, modelId);
        HubCache.CheckRevision(revision);
        if (options.IsOffline) return CompleteSnapshot(cache, modelId, revision);
        string commit;
        IReadOnlyList<string> files;
        try
        {
            (commit, files) = await connection.ListAsync(modelId, revision, cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (exception.Error is HubError.ConnectionFailed && FindCompleteSnapshot(cache, revision) is { } snapshot)
        {
            // As huggingface_hub does: without the hub, the last known state is better than none.
            return snapshot;
        }

        CheckWeights(modelId, files);
        foreach (var file in Needed(files)) await DownloadFileAsync(modelId, file, commit, progress, cancellationToken).ConfigureAwait(false);
        try
        {
            cache.SetCommit(revision, commit);
            return cache.Snapshot(commit);
        }
        catch (Exception exception) when (IsDiskError(exception))
        {
            throw NotWritable(exception);
        }
    }

    /// <summary>Fetches one file of a model.</summary>
    /// <param name="modelId">E.g. <c>HuggingFaceTB/SmolLM2-135M-Instruct</c>.</param>
    /// <param name="fileName">The file, with folders separated by slashes.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="progress">Is told how far the file is.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <returns>The file's path in the cache.</returns>
    /// <exception cref="HubException">The file could not be fetched; <see cref="HubException.Error"/> says why.</exception>
    public async Task<string> DownloadFileAsync(string modelId, string fileName, string revision = "main", IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var cache = new HubCache(options.CacheFolder, modelId);
        HubCache.CheckFileName(fileName);
        var known = cache.FindCommit(HubCache.CheckRevision(revision)) is { } last ? cache.FindFile(last, fileName) : null;

        // A commit does not change, so what is there of it needs no question.
        if (known is not null && (options.IsOffline || HubCache.IsCommit(revision))) return known;
        if (options.IsOffline) throw OfflineError($"'{fileName}' of {modelId}, revision '{revision}'");
        HubFile file;
        try
        {
            file = await connection.DescribeAsync(modelId, revision, fileName, cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (exception.Error is HubError.ConnectionFailed && known is not null)
        {
            return known;
        }

        try
        {
            if (!File.Exists(cache.Blob(file.ETag)))
            {
                using var held = await cache.LockAsync(file.ETag, cancellationToken).ConfigureAwait(false);
                if (!File.Exists(cache.Blob(file.ETag))) await FetchAsync(cache, file, fileName, progress, cancellationToken).ConfigureAwait(false);
            }

            var path = cache.Link(file.Commit, fileName, file.ETag);
            cache.SetCommit(revision, file.Commit);
            return path;
        }
        catch (Exception exception) when (IsDiskError(exception))
        {
            throw NotWritable(exception);
        }
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => connection.Dispose();

    private static IEnumerable<string> Needed(IReadOnlyList<string> files)
    {
        foreach (var file in files) HubCache.CheckFileName(file);
        var isWhole = files.Contains(Weights);
        bool IsNeeded(string file) => Path.GetDirectoryName(file) is "" or ChatTemplateFiles.AdditionalFolder
            && (isWhole && file == Weights
                || !isWhole && (file == WeightsIndex || (file.StartsWith("model-", StringComparison.Ordinal) && file.EndsWith(".safetensors", StringComparison.Ordinal)))
                || (file.EndsWith(".json", StringComparison.Ordinal) && !file.EndsWith(".index.json", StringComparison.Ordinal))
                || file.EndsWith(".jinja", StringComparison.Ordinal)
                || (file == SentencePieceModel.FileName && !files.Contains(HuggingFaceTokenizer.FileName)));
        return files.Where(IsNeeded);
    }

    private static void CheckWeights(string modelId, IReadOnlyList<string> files)
    {
        if (files.Contains(Weights) || files.Contains(WeightsIndex)) return;
        var gguf = files.Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).ToList();
        throw new HubException(HubError.FileNotFound, $"{modelId} has no weights as safetensors. " + (gguf.Count > 0
            ? $"It has GGUF files, of which one can be named (fileName): {string.Join(", ", gguf.Take(20))}{(gguf.Count > 20 ? ", …" : "")}."
            : "Other forms (pytorch_model.bin) are not read: choose a model that has them, or have transformers convert it."));
    }

    private string CompleteSnapshot(HubCache cache, string modelId, string revision) =>
        FindCompleteSnapshot(cache, revision) ?? throw OfflineError($"all files of {modelId}, revision '{revision}'");

    private static string? FindCompleteSnapshot(HubCache cache, string revision)
    {
        if (cache.FindCommit(revision) is not { } commit || cache.FindFile(commit, CausalLMConfig.FileName) is null) return null;
        if (cache.FindFile(commit, Weights) is not null) return cache.Snapshot(commit);
        if (cache.FindFile(commit, WeightsIndex) is not { } index) return null;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            var parts = document.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Value.GetString()).Distinct();
            return parts.All(part => part is not null && cache.FindFile(commit, HubCache.CheckFileName(part)) is not null) ? cache.Snapshot(commit) : null;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new HubException(HubError.InvalidResponse, $"'{index}' in the cache is no index of weights. Delete it and fetch the model again.", exception);
        }
    }

    private async Task FetchAsync(HubCache cache, HubFile file, string fileName, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        var incomplete = cache.IncompleteBlob(file.ETag);
        Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
        var wasResumed = File.Exists(incomplete);
        while (true)
        {
            await connection.RetryAsync(() => ReceiveAsync(file, fileName, incomplete, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            if (await HasETagAsync(incomplete, file, cancellationToken).ConfigureAwait(false)) break;

            // What another process or an older version left may be wrong; what arrived just now should not be.
            File.Delete(incomplete);
            if (!wasResumed) throw new HubException(HubError.ChecksumMismatch, $"What arrived as '{fileName}' is not what the hub says it is (its hash is not {file.ETag}). It was deleted; try again, and if it happens again, something between here and {options.Endpoint.WithoutSecrets()} changes files.");
            wasResumed = false;
        }

        // Where a file system knows no locks, another process may have put the same content there.
        File.Move(incomplete, cache.Blob(file.ETag), overwrite: true);
    }

    private async Task<bool> ReceiveAsync(HubFile file, string fileName, string incomplete, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        await using var output = new FileStream(incomplete, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        if (output.Length > file.Size) output.SetLength(0);
        if (output.Length < file.Size)
        {
            output.Position = output.Length;
            using var response = await connection.OpenAsync(file.Location, output.Length, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.PartialContent || response.Content.Headers.ContentRange?.From != output.Length)
            {
                // The server sends everything, or another part than was asked for.
                output.SetLength(0);
                if (response.StatusCode != HttpStatusCode.OK) throw new HttpRequestException($"The server cannot resume '{fileName}' (status {(int)response.StatusCode}).");
            }

            await CopyAsync(response, output, file, fileName, progress, cancellationToken).ConfigureAwait(false);
        }

        output.Flush(flushToDisk: true);
        return true;
    }

    private async Task CopyAsync(HttpResponseMessage response, FileStream output, HubFile file, string fileName, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 18];
        await using var input = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        while (true)
        {
            using var timeout = connection.TimeoutOf(cancellationToken);
            var count = await HubConnection.ReadAsync(input, buffer, timeout.Token).ConfigureAwait(false);
            if (count == 0) break;
            if (output.Length + count > file.Size) throw new HubException(HubError.InvalidResponse, $"More arrives of '{fileName}' than the {file.Size} bytes that the hub says it has.");
            await output.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            progress?.Report(new HubProgress(fileName, output.Position, file.Size));
        }

        if (output.Length < file.Size) throw new HttpRequestException($"The connection ended after {output.Length} of {file.Size} bytes of '{fileName}'.");
    }

    private static async Task<bool> HasETagAsync(string path, HubFile file, CancellationToken cancellationToken)
    {
        if (file.ETag.Length is not (SmallETag or LargeETag)) return new FileInfo(path).Length == file.Size;
        await using var stream = File.OpenRead(path);
        using var hash = IncrementalHash.CreateHash(file.ETag.Length == LargeETag ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);

        // Git hashes a header before the content.
        if (file.ETag.Length == SmallETag) hash.AppendData(Encoding.ASCII.GetBytes($"blob {stream.Length}\0"));
        var buffer = new byte[1 << 18];
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count) hash.AppendData(buffer, 0, count);
        return Convert.ToHexStringLower(hash.GetHashAndReset()) == file.ETag.ToLowerInvariant();
    }

    private static bool IsDiskError(Exception exception) => exception is IOException or UnauthorizedAccessException or AtomicWriteException;

    private HubException NotWritable(Exception exception) =>
        new(HubError.CacheNotWritable, $"The cache '{options.CacheFolder}' cannot be written: {exception.Message} Make room there, or set HF_HUB_CACHE to another folder.", exception);

    private HubException OfflineError(string what) =>
        new(HubError.Offline, $"HF_HUB_OFFLINE is set, and the cache '{options.CacheFolder}' does not hold {what}. Fetch it once with HF_HUB_OFFLINE=0.");
}
