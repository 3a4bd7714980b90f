using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models.Hub;

/// <summary>The store for large files (git LFS, with the hub's transfer in parts): a batch says for each content where to send it, or that it is there already.</summary>
/// <param name="connection">The connection.</param>
/// <param name="modelId">The repository.</param>
/// <param name="progress">Is told how far each file is.</param>
internal sealed class LargeFileStore(HubConnection connection, string modelId, IProgress<HubProgress>? progress)
{
    private const string MediaType = "application/vnd.git-lfs+json";
    private const string PartSize = "chunk_size";
    private const int MostInBatch = 256;

    /// <summary>Sends what the store does not have.</summary>
    /// <exception cref="HubException">A content could not be sent.</exception>
    public async Task SendAsync(IReadOnlyList<HubUploadFile> files, string revision, CancellationToken cancellationToken)
    {
        foreach (var batch in files.Chunk(MostInBatch))
        {
            var byHash = new Dictionary<string, HubUploadFile>(StringComparer.Ordinal);
            foreach (var file in batch) byHash.TryAdd(await file.Sha256Async(cancellationToken).ConfigureAwait(false), file);
            foreach (var answer in await AskAsync(byHash, revision, cancellationToken).ConfigureAwait(false))
            {
                if (Text(answer, "oid") is not { } hash || !byHash.TryGetValue(hash, out var file)) throw HubConnection.Senseless("it tells where to send a file that was not asked for");
                if (answer.TryGetProperty("error", out var error)) throw Refused(file, error);
                if (answer.TryGetProperty("actions", out var actions) && actions.ValueKind == JsonValueKind.Object) await SendAsync(file, hash, actions, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<IReadOnlyList<JsonElement>> AskAsync(Dictionary<string, HubUploadFile> byHash, string revision, CancellationToken cancellationToken)
    {
        var objects = byHash.Select(entry => (JsonNode)new JsonObject { ["oid"] = entry.Key, ["size"] = entry.Value.Size });
        var body = new JsonObject
        {
            ["operation"] = "upload",
            ["transfers"] = new JsonArray("basic", "multipart"),
            ["objects"] = new JsonArray([.. objects]),
            ["hash_algo"] = "sha256",
            ["ref"] = new JsonObject { ["name"] = revision },
        };
        var (_, answer) = await connection.PostAsync(connection.Address($"{modelId}.git/info/lfs/objects/batch"), body, $"asking where to send large files of {modelId}", cancellationToken, mediaType: MediaType).ConfigureAwait(false);
        JsonElement[] found = answer.TryGetProperty("objects", out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Object)] : [];
        return byHash.Keys.All(hash => found.Any(item => Text(item, "oid") == hash)) ? found : throw HubConnection.Senseless("it does not tell for each large file where to send it");
    }

    private async Task SendAsync(HubUploadFile file, string hash, JsonElement actions, CancellationToken cancellationToken)
    {
        if (actions.TryGetProperty("upload", out var upload))
        {
            var (address, headers) = Action(upload);
            if (headers.TryGetValue(PartSize, out var size)) await SendPartsAsync(file, hash, address, headers, size, cancellationToken).ConfigureAwait(false);
            else await PutAsync(file, address, 0, file.Size, headers, cancellationToken).ConfigureAwait(false);
        }

        if (actions.TryGetProperty("verify", out var verify))
            await connection.PostAsync(Action(verify).Address, new JsonObject { ["oid"] = hash, ["size"] = file.Size }, $"checking '{file.Name}'", cancellationToken, mediaType: MediaType).ConfigureAwait(false);
    }

    private async Task SendPartsAsync(HubUploadFile file, string hash, Uri completion, Dictionary<string, string> headers, string size, CancellationToken cancellationToken)
    {
        var parts = headers.Where(header => int.TryParse(header.Key, out _)).OrderBy(header => int.Parse(header.Key)).Select(header => connection.GivenAddress(header.Value)).ToArray();
        if (!long.TryParse(size, out var partBytes) || partBytes < 1 || parts.Length != (file.Size + partBytes - 1) / partBytes) throw HubConnection.Senseless($"its {parts.Length} parts of {size} bytes are not those of '{file.Name}', which has {file.Size}");
        var etags = new JsonArray();
        foreach (var (i, address) in parts.Index())
        {
            var from = i * partBytes;
            var etag = await PutAsync(file, address, from, Math.Min(partBytes, file.Size - from), [], cancellationToken).ConfigureAwait(false) ?? throw HubConnection.Senseless($"it names no hash for a part of '{file.Name}'");
            etags.Add((JsonNode)new JsonObject { ["partNumber"] = i + 1, ["etag"] = etag });
        }

        await connection.PostAsync(completion, new JsonObject { ["oid"] = hash, ["parts"] = etags }, $"putting the parts of '{file.Name}' together", cancellationToken, mediaType: MediaType).ConfigureAwait(false);
    }

    /// <summary>Sends a part of a file, and again where the connection broke.</summary>
    /// <returns>What the store calls the part.</returns>
    private Task<string?> PutAsync(HubUploadFile file, Uri address, long from, long length, Dictionary<string, string> headers, CancellationToken cancellationToken) => connection.RetryAsync(
        async () =>
        {
            HttpContent Content(Action onPiece) => new HubFileContent(file, from, length, done =>
            {
                onPiece();
                progress?.Report(new HubProgress(file.Name, done, file.Size));
            });
            using var response = await connection.SendAsync(HttpMethod.Put, address, Content, null, cancellationToken, headers).ConfigureAwait(false);
            await connection.CheckWrittenAsync(response, $"sending '{file.Name}' to {address.WithoutSecrets()}", cancellationToken).ConfigureAwait(false);
            return response.Headers.TryGetValues("ETag", out var values) ? values.FirstOrDefault() : null;
        },
        cancellationToken);

    private (Uri Address, Dictionary<string, string> Headers) Action(JsonElement action)
    {
        if (action.ValueKind != JsonValueKind.Object || Text(action, "href") is not { } address) throw HubConnection.Senseless("it says to send a file nowhere");
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (!action.TryGetProperty("header", out var given) || given.ValueKind != JsonValueKind.Object) return (connection.GivenAddress(address), headers);
        foreach (var header in given.EnumerateObject()) headers[header.Name] = header.Value.ToString();
        return (connection.GivenAddress(address), headers);
    }

    private static HubException Refused(HubUploadFile file, JsonElement error)
    {
        var code = error.ValueKind == JsonValueKind.Object && error.TryGetProperty("code", out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var value) ? value : 0;
        return new HubException(
            code switch { 401 => HubError.Unauthorized, 402 or 403 => HubError.Forbidden, 413 => HubError.TooLarge, >= 500 => HubError.ServerError, _ => HubError.Rejected },
            $"The hub does not take '{file.Name}' ({file.Size} bytes){(Text(error, "message") is { } said ? $": {said}" : ".")} Nothing was committed.");
    }

    private static string? Text(JsonElement item, string name) => item.ValueKind == JsonValueKind.Object && item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
