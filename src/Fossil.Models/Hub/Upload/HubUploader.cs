using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models.Hub;

/// <summary>Uploads files as one commit, as huggingface_hub's <c>create_commit</c> does: whatever fails before it, the repository's branch is as it was.</summary>
/// <param name="connection">The connection.</param>
/// <param name="upload">How.</param>
/// <param name="progress">Is told how far each file is.</param>
/// <param name="cancellationToken">Ends it.</param>
internal sealed class HubUploader(HubConnection connection, HubUpload upload, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
{
    private const string PullRequestQuery = "?create_pr=1";
    private const string DefaultBranch = "main";
    private const int MostInQuestion = 256;

    private string Branch => Uri.EscapeDataString(upload.Revision);

    private string Query => upload.CreatesPullRequest ? PullRequestQuery : string.Empty;

    /// <summary>Makes the branch where it is missing, sends what the hub does not have, and commits.</summary>
    public async Task<HubCommit> RunAsync(string id, IReadOnlyList<HubUploadFile> files)
    {
        if (!upload.CreatesPullRequest && upload.Revision != DefaultBranch && !upload.Revision.StartsWith("refs/", StringComparison.Ordinal))
            await connection.PostAsync(connection.Address($"api/models/{id}/branch/{Branch}"), [], $"making the branch '{upload.Revision}' of {id}", cancellationToken, [HttpStatusCode.Conflict]).ConfigureAwait(false);

        var changed = await ChangedAsync(id, files).ConfigureAwait(false);
        if (changed.Count == 0) return await LastCommitAsync(id).ConfigureAwait(false);
        await new LargeFileStore(connection, id, progress).SendAsync([.. changed.Where(file => file.IsLarge)], upload.Revision, cancellationToken).ConfigureAwait(false);
        foreach (var file in changed) file.CheckUnchanged();
        return await CommitAsync(id, changed).ConfigureAwait(false);
    }

    /// <summary>Makes the repository; one that is there is taken as it is.</summary>
    /// <returns>Its id, with the owner.</returns>
    public async Task<string> CreateRepositoryAsync(string modelId)
    {
        var slash = modelId.IndexOf('/', StringComparison.Ordinal);
        var body = new JsonObject { ["name"] = modelId[(slash + 1)..], ["organization"] = slash < 0 ? null : modelId[..slash], ["type"] = "model" };
        if (upload.IsPrivate is { } isPrivate) body["private"] = isPrivate;
        try
        {
            var (_, answer) = await connection.PostAsync(connection.Address("api/repos/create"), body, $"making the repository {modelId}", cancellationToken, [HttpStatusCode.Conflict]).ConfigureAwait(false);
            if (slash >= 0) return modelId;

            // Without an owner it is the token's. The answer tells by the repository's address, whether it was made or was there.
            if (answer.TryGetProperty("url", out var url) && url.ValueKind == JsonValueKind.String && Uri.TryCreate(url.GetString(), UriKind.Absolute, out var address) && string.Join('/', address.AbsolutePath.Split('/')[^2..]) is var full && HubCache.IsModelId(full) && full.EndsWith("/" + modelId, StringComparison.Ordinal)) return full;
            throw HubConnection.Senseless($"it does not tell whose repository '{modelId}' is; name the owner (owner/{modelId})");
        }
        catch (HubException exception) when (slash >= 0 && exception.Error is HubError.Unauthorized or HubError.Forbidden)
        {
            // A token that may not make repositories may write into one that is there.
            if (!await ExistsAsync(modelId).ConfigureAwait(false)) throw;
            return modelId;
        }
    }

    private async Task<bool> ExistsAsync(string modelId)
    {
        try
        {
            await connection.ListAsync(modelId, DefaultBranch, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (HubException)
        {
            return false;
        }
    }

    /// <summary>Asks the hub how it wants each file, and leaves out those that it has or ignores.</summary>
    private async Task<IReadOnlyList<HubUploadFile>> ChangedAsync(string id, IReadOnlyList<HubUploadFile> files)
    {
        var changed = new List<HubUploadFile>();
        foreach (var asked in files.Chunk(MostInQuestion))
        {
            var questions = asked.Select(file => (JsonNode)new JsonObject { ["path"] = file.Name, ["sample"] = Convert.ToBase64String(file.Sample()), ["size"] = file.Size });
            var (_, answer) = await connection.PostAsync(connection.Address($"api/models/{id}/preupload/{Branch}{Query}"), new JsonObject { ["files"] = new JsonArray([.. questions]) }, $"announcing the files for {id}", cancellationToken).ConfigureAwait(false);
            JsonElement[] answers = answer.TryGetProperty("files", out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Object)] : [];
            foreach (var file in asked)
            {
                var about = Array.Find(answers, item => item.TryGetProperty("path", out var path) && path.ValueKind == JsonValueKind.String && path.GetString() == file.Name);
                var mode = about.ValueKind == JsonValueKind.Object && about.TryGetProperty("uploadMode", out var stated) && stated.ValueKind == JsonValueKind.String ? stated.GetString() : null;
                if (mode is not ("lfs" or "regular")) throw HubConnection.Senseless($"it does not tell how it wants '{file.Name}'");

                // The store for large files takes no empty ones.
                file.IsLarge = mode == "lfs" && file.Size > 0;
                if (about.TryGetProperty("shouldIgnore", out var ignored) && ignored.ValueKind == JsonValueKind.True) continue;
                if (about.TryGetProperty("oid", out var hash) && hash.ValueKind == JsonValueKind.String && await file.IsAsync(hash.GetString()!, cancellationToken).ConfigureAwait(false)) continue;
                changed.Add(file);
            }
        }

        return changed;
    }

    private async Task<HubCommit> LastCommitAsync(string id)
    {
        var (commit, _) = await connection.ListAsync(id, upload.Revision, cancellationToken).ConfigureAwait(false);
        return new HubCommit(id, commit, connection.Address($"{id}/commit/{commit}"));
    }

    private async Task<HubCommit> CommitAsync(string id, IReadOnlyList<HubUploadFile> files)
    {
        var body = await LinesAsync(files).ConfigureAwait(false);
        var what = $"the commit to '{upload.Revision}' of {id}";
        var wasRefused = true;
        return await connection.RetryAsync(
            async () =>
            {
                // Once it is sent nobody knows whether a broken connection made a commit: sent again it might be there twice.
                wasRefused = false;
                try
                {
                    using var response = await connection.SendAsync(HttpMethod.Post, connection.Address($"api/models/{id}/commit/{Branch}{Query}"), _ => Content(body), null, cancellationToken).ConfigureAwait(false);
                    wasRefused = response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable;
                    await connection.CheckWrittenAsync(response, what, cancellationToken).ConfigureAwait(false);
                    return CommitOf(id, await connection.ReadJsonAsync(response, cancellationToken).ConfigureAwait(false));
                }
                catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
                {
                    throw new HubException(HubError.ConnectionFailed, $"The connection broke during {what}: {exception.Message} Whether it was made, {connection.Address($"{id}/commits/{Branch}").WithoutSecrets()} tells.", exception);
                }
            },
            cancellationToken,
            () => wasRefused).ConfigureAwait(false);
    }

    private static HubCommit CommitOf(string id, JsonElement answer)
    {
        string? Text(string name) => answer.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        Uri? Link(string name) => Text(name) is { } text && Uri.TryCreate(text, UriKind.Absolute, out var address) ? address : null;
        return Text("commitOid") is { } hash && Link("commitUrl") is { } address ? new HubCommit(id, hash, address, Link("pullRequestUrl")) : throw HubConnection.Senseless("it does not tell which commit it made");
    }

    /// <summary>The commit: a line of JSON for its message and one for each file; of a large file its hash, of another its content.</summary>
    private async Task<byte[]> LinesAsync(IReadOnlyList<HubUploadFile> files)
    {
        using var lines = new MemoryStream();
        var header = new JsonObject { ["summary"] = upload.CommitMessage, ["description"] = upload.CommitDescription ?? string.Empty };
        if (upload.ParentCommit is not null) header["parentCommit"] = upload.ParentCommit;
        Write("header", header);
        foreach (var file in files)
        {
            if (file.IsLarge) Write("lfsFile", new JsonObject { ["path"] = file.Name, ["algo"] = "sha256", ["oid"] = await file.Sha256Async(cancellationToken).ConfigureAwait(false), ["size"] = file.Size });
            else Write("file", new JsonObject { ["content"] = Convert.ToBase64String(await File.ReadAllBytesAsync(file.Path, cancellationToken).ConfigureAwait(false)), ["path"] = file.Name, ["encoding"] = "base64" });
        }

        return lines.ToArray();

        void Write(string key, JsonObject value)
        {
            using (var writer = new Utf8JsonWriter(lines)) new JsonObject { ["key"] = key, ["value"] = value }.WriteTo(writer);
            lines.WriteByte((byte)'\n');
        }
    }

    private static ByteArrayContent Content(byte[] body)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
        return content;
    }
}
