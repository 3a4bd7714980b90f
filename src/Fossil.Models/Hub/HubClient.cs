using System.Net;
using System.Text.Json;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;

namespace Fossil.Models.Hub;

/// <summary>How far the fetching of a file is.</summary>
/// <param name="FileName">The file.</param>
/// <param name="BytesDone">Bytes that are there.</param>
/// <param name="BytesTotal">All bytes; 0 where the server does not say how many there are.</param>
public readonly record struct HubProgress(string FileName, long BytesDone, long BytesTotal);

/// <summary>
/// Fetches models from the Hugging Face hub into the cache that huggingface_hub uses too. What is there already is not fetched again, what
/// broke off is resumed, and everything is compared with the hub's hash before it gets its name.
/// </summary>
public sealed class HubClient : IDisposable
{
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
        IReadOnlyList<(string Name, long? Size)> files;
        try
        {
            (commit, files) = await connection.ListAsync(modelId, revision, cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (exception.Error is HubError.ConnectionFailed && FindCompleteSnapshot(cache, revision) is { } snapshot)
        {
            // As huggingface_hub does: without the hub, the last known state is better than none.
            return snapshot;
        }

        var names = files.Select(file => file.Name).ToArray();
        CheckWeights(modelId, names);
        foreach (var file in Needed(names)) await DownloadListedAsync(cache, modelId, commit, file, files.First(listed => listed.Name == file).Size, progress, cancellationToken).ConfigureAwait(false);
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
        if (options.IsOffline) return known ?? throw OfflineError($"'{fileName}' of {modelId}, revision '{revision}'");
        HubFile file;
        try
        {
            file = await connection.DescribeAsync(modelId, revision, fileName, cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (known is not null && (exception.Error is HubError.ConnectionFailed || HubCache.IsCommit(revision)))
        {
            // A commit does not change, so what is there of it is right whatever the hub says.
            return known;
        }

        try
        {
            var path = await BringAsync(cache, file, fileName, progress, cancellationToken).ConfigureAwait(false);
            cache.SetCommit(revision, file.Commit);
            return path;
        }
        catch (Exception exception) when (IsDiskError(exception))
        {
            throw NotWritable(exception);
        }
    }

    /// <summary>Fetches a GGUF file of a model; where it is one of several (<c>NAME-00001-of-00003.gguf</c>), the others too.</summary>
    /// <inheritdoc cref="DownloadFileAsync" path="/param"/>
    /// <returns>The file's path in the cache.</returns>
    /// <exception cref="HubException">A file could not be fetched; <see cref="HubException.Error"/> says why.</exception>
    public async Task<string> DownloadGgufAsync(string modelId, string fileName, string revision = "main", IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var path = await DownloadFileAsync(modelId, fileName, revision, progress, cancellationToken).ConfigureAwait(false);
        var name = fileName[(fileName.LastIndexOf('/') + 1)..];
        foreach (var part in GgufSplit.PartNames(name).Where(part => part != name))
        {
            await DownloadFileAsync(modelId, fileName[..^name.Length] + part, revision, progress, cancellationToken).ConfigureAwait(false);
        }

        return path;
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => connection.Dispose();

    /// <summary>A file of a list: what is there with the size that the list says is not asked for again.</summary>
    private async Task DownloadListedAsync(HubCache cache, string modelId, string commit, string fileName, long? size, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        if (size is not null && cache.FindFile(commit, fileName) is { } known && HubFile.SizeOf(known) == size) return;
        await DownloadFileAsync(modelId, fileName, commit, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Brings a file into the snapshot of its commit: nothing is fetched that is there in full, and one at a time does it.</summary>
    private async Task<string> BringAsync(HubCache cache, HubFile file, string fileName, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        if (cache.FindWhole(file, fileName) is { } there) return there;
        using var held = await cache.LockAsync(file.ArrivalName(fileName), cancellationToken).ConfigureAwait(false);
        if (cache.FindWhole(file, fileName) is { } meanwhile) return meanwhile;
        if (file.Hash is { } hash && File.Exists(cache.Blob(hash)) && file.HasSize(cache.Blob(hash))) return cache.Link(file.Commit, fileName, hash);
        foreach (var copy in cache.CopiesOf(fileName))
        {
            // Without links an earlier commit's file is where its content is.
            if (file.Size is not null && file.HasSize(copy) && await file.HasHashAsync(copy, cancellationToken).ConfigureAwait(false)) return cache.Copy(copy, file.Commit, fileName);
        }

        return cache.Link(file.Commit, fileName, await FetchAsync(cache, file, fileName, progress, cancellationToken).ConfigureAwait(false));
    }

    private static IEnumerable<string> Needed(IReadOnlyList<string> files)
    {
        foreach (var file in files) HubCache.CheckFileName(file);
        var isWhole = files.Contains(HuggingFaceFolder.SingleFile);
        bool IsNeeded(string file) => Path.GetDirectoryName(file) is "" or ChatTemplateFiles.AdditionalFolder
            && (isWhole && file == HuggingFaceFolder.SingleFile
                || !isWhole && (file == HuggingFaceFolder.IndexFile || (file.StartsWith("model-", StringComparison.Ordinal) && file.EndsWith(".safetensors", StringComparison.Ordinal)))
                || (file.EndsWith(".json", StringComparison.Ordinal) && !file.EndsWith(".index.json", StringComparison.Ordinal))
                || file.EndsWith(".jinja", StringComparison.Ordinal)
                || (file == SentencePieceModel.FileName && !files.Contains(HuggingFaceTokenizer.FileName)));
        return files.Where(IsNeeded);
    }

    private static void CheckWeights(string modelId, IReadOnlyList<string> files)
    {
        if (files.Contains(HuggingFaceFolder.SingleFile) || files.Contains(HuggingFaceFolder.IndexFile)) return;
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
        if (cache.FindFile(commit, HuggingFaceFolder.SingleFile) is not null) return cache.Snapshot(commit);
        if (cache.FindFile(commit, HuggingFaceFolder.IndexFile) is not { } index) return null;
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

    /// <summary>Fetches a content.</summary>
    /// <returns>The hash by which it is kept: the one that the hub names, or, where a proxy names none, that of what arrived.</returns>
    private async Task<string> FetchAsync(HubCache cache, HubFile file, string fileName, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        var incomplete = cache.IncompleteBlob(file.ArrivalName(fileName));
        Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
        var wasResumed = File.Exists(incomplete);
        string? hash;
        while (true)
        {
            await connection.RetryAsync(() => ReceiveAsync(file, fileName, incomplete, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
            hash = await file.HasHashAsync(incomplete, cancellationToken).ConfigureAwait(false) ? file.Hash : null;
            if (hash is not null || file.Hash is null || !file.IsHubs) break;

            // What another process or an older version left may be wrong; what arrived just now should not be.
            File.Delete(incomplete);
            if (!wasResumed) throw new HubException(HubError.ChecksumMismatch, $"What arrived as '{fileName}' is not what the hub says it is (its hash is not {file.Hash}). It was deleted; try again, and if it happens again, something between here and {options.Endpoint.WithoutSecrets()} changes files.");
            wasResumed = false;
        }

        hash ??= await HubFile.Sha256Async(incomplete, cancellationToken).ConfigureAwait(false);

        // Where a file system knows no locks, another process may have put the same content there.
        File.Move(incomplete, cache.Blob(hash), overwrite: true);
        return hash;
    }

    private async Task<bool> ReceiveAsync(HubFile file, string fileName, string incomplete, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        await using var output = new FileStream(incomplete, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        if (file.Size is null || output.Length > file.Size) output.SetLength(0);
        if (file.Size is null || output.Length < file.Size)
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
            progress?.Report(new HubProgress(fileName, output.Position, file.Size ?? 0));
        }

        if (output.Length < file.Size) throw new HttpRequestException($"The connection ended after {output.Length} of {file.Size} bytes of '{fileName}'.");
    }

    private static bool IsDiskError(Exception exception) => exception is IOException or UnauthorizedAccessException or AtomicWriteException;

    private HubException NotWritable(Exception exception) =>
        new(HubError.CacheNotWritable, $"The cache '{options.CacheFolder}' cannot be written: {exception.Message} Make room there, or set HF_HUB_CACHE to another folder.", exception);

    private HubException OfflineError(string what) =>
        new(HubError.Offline, $"HF_HUB_OFFLINE is set, and the cache '{options.CacheFolder}' does not hold {what}. Fetch it once with HF_HUB_OFFLINE=0.");
}
