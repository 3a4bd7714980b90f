using System.Net;
using Fossil.Models.Gguf;
using Fossil.Serialization;

namespace Fossil.Models.Hub;

/// <summary>How far the fetching of a file is.</summary>
/// <param name="FileName">The file.</param>
/// <param name="BytesDone">Bytes that are there.</param>
/// <param name="BytesTotal">All bytes; 0 where the server does not say how many there are.</param>
public readonly record struct HubProgress(string FileName, long BytesDone, long BytesTotal);

/// <summary>
/// Fetches models and adapters from the Hugging Face hub into the cache that huggingface_hub uses too. What is there already is not fetched again, what
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
        return await DownloadAsync(modelId, HubModelFiles.Instance, revision, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Fetches an adapter that PEFT or <see cref="AdaptedModel.SavePretrained"/> wrote: its configuration, its weights, and what its method keeps beside them.</summary>
    /// <param name="adapterId">E.g. <c>owner/adapter</c>.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="subfolder">The folder in the repository, with slashes; null for its root.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <returns>The folder with the files.</returns>
    /// <exception cref="HubException">Something could not be fetched, or there is no adapter; <see cref="HubException.Error"/> says why.</exception>
    public async Task<string> DownloadAdapterAsync(string adapterId, string revision = "main", string? subfolder = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        var files = new HubAdapterFiles(subfolder);
        return Path.Combine(await DownloadAsync(adapterId, files, revision, progress, cancellationToken).ConfigureAwait(false), files.Folder);
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

    /// <summary>
    /// Uploads a folder with its folders as one commit: whatever fails, the branch is as it was. Files that are there already are not sent again, and nothing is deleted. The repository and the branch are
    /// made where they are missing. Large files go where the hub says (git LFS, whole or in parts), without the token.
    /// </summary>
    /// <param name="modelId">The repository, e.g. <c>owner/model</c>; without an owner it is the token's.</param>
    /// <param name="folder">The folder. Hidden folders of git and of caches, and this library's own hidden files, are left out.</param>
    /// <param name="upload">Message, branch, privacy and more.</param>
    /// <param name="progress">Is told how far each large file is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The commit; the branch's last one where nothing has changed.</returns>
    /// <exception cref="HubException">It could not be uploaded; <see cref="HubException.Error"/> says why.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    public async Task<HubCommit> UploadFolderAsync(string modelId, string folder, HubUpload? upload = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        upload ??= new HubUpload();
        CheckUpload(modelId, upload);
        return await UploadAsync(modelId, folder, upload, _ => Task.CompletedTask, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>As <see cref="UploadFolderAsync"/>, with a folder that is completed once the repository's full id is known.</summary>
    internal async Task<HubCommit> UploadAsync(string modelId, string folder, HubUpload upload, Func<string, Task> complete, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        var uploader = new HubUploader(connection, upload, progress, cancellationToken);
        var id = await uploader.CreateRepositoryAsync(modelId).ConfigureAwait(false);
        await complete(id).ConfigureAwait(false);
        var files = HubUploadFile.Of(folder, upload.Folder?.TrimEnd('/') ?? string.Empty);
        foreach (var file in files) HubCache.CheckFileName(file.Name);
        return files.Count > 0 ? await uploader.RunAsync(id, files).ConfigureAwait(false) : throw new HubException(HubError.FileNotFound, $"The folder '{folder}' holds no files to upload.");
    }

    /// <summary>Refuses what cannot be uploaded, before anything is done for it.</summary>
    /// <exception cref="HubException">It cannot.</exception>
    internal void CheckUpload(string modelId, HubUpload upload)
    {
        HubCache.CheckModelId(modelId);
        HubCache.CheckRevision(upload.Revision);
        if (upload.Folder is not null) HubCache.CheckFileName(upload.Folder.TrimEnd('/'));
        if (string.IsNullOrWhiteSpace(upload.CommitMessage)) throw new HubException(HubError.InvalidName, "A commit needs a message (CommitMessage).");
        if (options.IsOffline) throw new HubException(HubError.Offline, $"HF_HUB_OFFLINE is set, so nothing is uploaded to {modelId}.");
        if (options.Token is null) throw new HubException(HubError.Unauthorized, $"Uploading to {modelId} needs a token that may write. Set HF_TOKEN, or HubOptions.Token, to one of {options.Endpoint.WithoutSecrets()}settings/tokens.");
    }

    /// <summary>The text of a small file; null where the repository, the branch or the file does not exist.</summary>
    internal async Task<string?> FindTextAsync(string modelId, string fileName, string revision, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllTextAsync(await DownloadFileAsync(modelId, fileName, revision, null, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (exception.Error is HubError.FileNotFound or HubError.RepositoryNotFound or HubError.RevisionNotFound)
        {
            return null;
        }
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => connection.Dispose();

    /// <summary>Fetches what belongs together of a repository.</summary>
    /// <returns>The commit's folder in the cache.</returns>
    private async Task<string> DownloadAsync(string id, HubFileSet set, string revision, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        var cache = new HubCache(options.CacheFolder, id);
        HubCache.CheckRevision(revision);
        string? Known() => cache.FindCommit(revision) is { } last && set.IsComplete(cache, last) ? cache.Snapshot(last) : null;
        if (options.IsOffline) return Known() ?? throw OfflineError($"all files of {set.Describe(id)}, revision '{revision}'");
        string commit;
        IReadOnlyList<(string Name, long? Size)> files;
        try
        {
            (commit, files) = await connection.ListAsync(id, revision, cancellationToken).ConfigureAwait(false);
        }
        catch (HubException exception) when (exception.Error is HubError.ConnectionFailed && Known() is { } known)
        {
            // As huggingface_hub does: without the hub, the last known state is better than none.
            return known;
        }

        string[] names = [.. files.Select(file => file.Name)];
        foreach (var name in names) HubCache.CheckFileName(name);
        foreach (var file in set.Needed(id, names)) await DownloadListedAsync(cache, id, commit, file, files.First(listed => listed.Name == file).Size, progress, cancellationToken).ConfigureAwait(false);
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
