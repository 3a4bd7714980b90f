using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Fossil.Models.Hub;

/// <summary>Requests to the hub: redirects, tokens, retries and errors.</summary>
internal sealed partial class HubConnection : IDisposable
{
    private const int MostRedirects = 5;
    private const int MostListBytes = 64 << 20;

    private readonly HubOptions options;
    private readonly HttpClient client;

    public HubConnection(HubOptions options)
    {
        this.options = options;
        if (options.Token is { } token && token.Any(character => character is <= ' ' or > '~'))
        {
            throw new HubException(HubError.Unauthorized, "The token holds white space or other characters that no token has. Check HF_TOKEN, or the file that holds the token.");
        }

        // Redirects are followed here, so that the token goes to no other host. Timeouts are per answer and per read, not per file.
        client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, AutomaticDecompression = DecompressionMethods.None, ConnectTimeout = options.Timeout })
        {
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
        };
        client.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
        client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("Fossil.Gen", typeof(HubConnection).Assembly.GetName().Version?.ToString(3) ?? "0"));
    }

    /// <summary>The files of a revision, with their sizes where the hub says them.</summary>
    public Task<(string Commit, IReadOnlyList<(string Name, long? Size)> Files)> ListAsync(string modelId, string revision, CancellationToken cancellationToken) =>
        RetryAsync<(string, IReadOnlyList<(string, long?)>)>(
            async () =>
            {
                using var response = await SendAsync(HttpMethod.Get, Address($"api/models/{modelId}/revision/{Uri.EscapeDataString(revision)}?blobs=true"), null, cancellationToken).ConfigureAwait(false);
                CheckStatus(response, modelId, revision, null);
                using var timeout = TimeoutOf(cancellationToken);
                await using var stream = await response.Content.ReadAsStreamAsync(timeout.Token).ConfigureAwait(false);
                try
                {
                    using var document = JsonDocument.Parse(await ReadAtMostAsync(stream, MostListBytes, timeout.Token).ConfigureAwait(false));
                    var commit = document.RootElement.GetProperty("sha").GetString();
                    var files = document.RootElement.GetProperty("siblings").EnumerateArray().Select(file => (file.GetProperty("rfilename").GetString()!, SizeOf(file))).ToArray();
                    return HubCache.IsCommit(commit ?? string.Empty) ? (commit!, files) : throw Senseless($"its list of the files of {modelId} names no commit");
                }
                catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
                {
                    throw Senseless($"its list of the files of {modelId} is no such list", exception);
                }
            },
            cancellationToken);

    /// <summary>What the hub says about a file, without fetching it.</summary>
    public async Task<HubFile> DescribeAsync(string modelId, string revision, string fileName, CancellationToken cancellationToken)
    {
        var path = string.Join('/', fileName.Split('/').Select(Uri.EscapeDataString));
        var first = Address($"{modelId}/resolve/{Uri.EscapeDataString(revision)}/{path}");
        var (file, commit) = await RetryAsync(() => DescribeAsync(first, modelId, revision, fileName, cancellationToken), cancellationToken).ConfigureAwait(false);
        return file with { Commit = commit ?? (HubCache.IsCommit(revision) ? revision : await FindCommitAsync(modelId, revision, fileName, cancellationToken).ConfigureAwait(false)) };
    }

    // A mirror redirects to another host, a renamed model to its new name. Such an answer has headers of its own; the file's are with the last one, or, where
    // the content of a large file lies elsewhere, on the hub's redirect to it (X-Linked-…).
    private async Task<(HubFile File, string? Commit)> DescribeAsync(Uri address, string modelId, string revision, string fileName, CancellationToken cancellationToken)
    {
        string? commit = null;
        var method = HttpMethod.Head;
        for (var redirects = 0; ; redirects++)
        {
            using var response = await SendAsync(method, address, null, cancellationToken, follow: false).ConfigureAwait(false);
            if (method == HttpMethod.Head && response.StatusCode is HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented)
            {
                method = HttpMethod.Get;
                continue;
            }

            CheckStatus(response, modelId, revision, fileName, allowRedirect: true);
            var named = Header(response, "X-Repo-Commit");
            if (named is not null && !HubCache.IsCommit(named)) throw Senseless($"it names no commit for {fileName}");
            commit ??= named;
            var linked = Header(response, "X-Linked-Etag");
            var location = Redirect(response, address);
            if (location is not null && linked is null)
            {
                if (redirects >= MostRedirects) throw Senseless($"it redirects more than {MostRedirects} times");
                address = location;
                continue;
            }

            if (location is null && !response.IsSuccessStatusCode) throw Senseless($"it redirects {fileName} nowhere (status {(int)response.StatusCode})");
            var isHubs = linked is not null || named is not null;
            return (new HubFile(string.Empty, HashOf(linked ?? Header(response, "ETag"), fileName), isHubs, SizeOf(response), location ?? address), commit);
        }
    }

    // A proxy may keep the hub's headers to itself.
    private async Task<string> FindCommitAsync(string modelId, string revision, string fileName, CancellationToken cancellationToken)
    {
        try
        {
            return (await ListAsync(modelId, revision, cancellationToken).ConfigureAwait(false)).Commit;
        }
        catch (HubException exception) when (exception.Error is HubError.RepositoryNotFound or HubError.InvalidResponse or HubError.RevisionNotFound)
        {
            throw Senseless($"it names no commit for {fileName}, neither with the file nor in a list of the files", exception);
        }
    }

    private static string? HashOf(string? etag, string fileName)
    {
        var bare = etag?.Replace("W/", string.Empty, StringComparison.Ordinal).Trim('"').ToLowerInvariant();
        if (bare is null || HubFile.IsHash(bare)) return bare;
        return bare.AsSpan().IndexOfAny('/', '\\') < 0 ? null : throw Senseless($"it names no hash for {fileName}");
    }

    // Zero is what servers say that do not know; an empty file arrives as one all the same.
    private static long? SizeOf(HttpResponseMessage response) => long.TryParse(Header(response, "X-Linked-Size") ?? Header(response, "Content-Length"), out var bytes) && bytes > 0 ? bytes : null;

    private static long? SizeOf(JsonElement file) => file.TryGetProperty("size", out var size) && size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out var bytes) && bytes >= 0 ? bytes : null;

    /// <summary>The content from a byte on. The answer may begin at the first byte all the same, with status 200.</summary>
    public async Task<HttpResponseMessage> OpenAsync(Uri location, long from, CancellationToken cancellationToken)
    {
        var response = await SendAsync(HttpMethod.Get, location, from > 0 ? new RangeHeaderValue(from, null) : null, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable) return response;
        try
        {
            CheckStatus(response, location.WithoutSecrets(), null, null);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>Tries again where the connection broke or the server had an error, which may pass.</summary>
    /// <param name="action">What is tried.</param>
    /// <param name="cancellationToken">Ends the trying.</param>
    /// <param name="mayTryAgain">Whether another try does no harm; it never does where null.</param>
    public async Task<T> RetryAsync<T>(Func<Task<T>> action, CancellationToken cancellationToken, Func<bool>? mayTryAgain = null)
    {
        var delay = options.RetryDelay;
        for (var tries = 0; ; tries++)
        {
            try
            {
                return await action().ConfigureAwait(false);
            }
            catch (Exception exception) when (IsPassing(exception, cancellationToken))
            {
                if (tries >= options.Retries || mayTryAgain?.Invoke() == false)
                {
                    throw exception as HubException ?? new HubException(HubError.ConnectionFailed, $"{options.Endpoint.WithoutSecrets()} cannot be reached, or the connection breaks again and again: {exception.Message} Try again later; what has arrived is kept.", exception);
                }
            }

            await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
            delay *= 2;
        }
    }

    /// <summary>A token that ends waiting after the timeout.</summary>
    public CancellationTokenSource TimeoutOf(CancellationToken cancellationToken)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        source.CancelAfter(options.Timeout);
        return source;
    }

    /// <summary>Reads from an answer. A broken connection is an <see cref="HttpRequestException"/>, to be told apart from errors of the disk.</summary>
    public static async Task<int> ReadAsync(Stream stream, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException exception)
        {
            throw new HttpRequestException(exception.Message, exception);
        }
    }

    public void Dispose() => client.Dispose();

    private static bool IsPassing(Exception exception, CancellationToken cancellationToken) =>
        exception is HubException { Error: HubError.ServerError } or HttpRequestException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) || response.Content.Headers.TryGetValues(name, out values) ? values.FirstOrDefault() : null;

    private static async Task<MemoryStream> ReadAtMostAsync(Stream stream, int most, CancellationToken cancellationToken)
    {
        var memory = new MemoryStream();
        var buffer = new byte[1 << 16];
        while (await ReadAsync(stream, buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count)
        {
            if (memory.Length + count > most) throw Senseless($"an answer is longer than {most} bytes");
            memory.Write(buffer, 0, count);
        }

        memory.Position = 0;
        return memory;
    }

    public static HubException Senseless(string problem, Exception? exception = null) => new(HubError.InvalidResponse, $"The hub's answer makes no sense: {problem}. Is HF_ENDPOINT a hub?", exception);

    public Uri Address(string path) => new($"{options.Endpoint.ToString().TrimEnd('/')}/{path}");

    private bool IsSameHost(Uri address) => address.Host == options.Endpoint.Host && address.Port == options.Endpoint.Port && address.Scheme == options.Endpoint.Scheme;

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, RangeHeaderValue? range, CancellationToken cancellationToken, bool follow = true)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.Range = range;
            Authorize(request);
            using var timeout = TimeoutOf(cancellationToken);
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout.Token).ConfigureAwait(false);
            if (!follow || Redirect(response, address) is not { } location) return response;
            response.Dispose();
            if (redirects >= MostRedirects) throw Senseless($"it redirects more than {MostRedirects} times");
            address = location;
        }
    }

    private void Authorize(HttpRequestMessage request)
    {
        if (options.Token is not null && IsSameHost(request.RequestUri!)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Token);
    }

    /// <summary>Where a redirect leads; null where the answer is none.</summary>
    private static Uri? Redirect(HttpResponseMessage response, Uri address)
    {
        if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location) return null;
        var target = new Uri(address, location);
        return target.Scheme == "https" || (target.Scheme == "http" && address.Scheme == "http")
            ? target
            : throw Senseless($"it redirects to {target.Scheme}://{target.Host}, which is less safe than {address.Scheme}");
    }

    private void CheckStatus(HttpResponseMessage response, string what, string? revision, string? fileName, bool allowRedirect = false)
    {
        var status = (int)response.StatusCode;
        if (response.IsSuccessStatusCode || (allowRedirect && status is >= 300 and < 400)) return;
        var code = Header(response, "X-Error-Code");
        var said = Header(response, "X-Error-Message") is { } message ? $" The hub says: {message}" : string.Empty;
        var token = options.Token is null ? "Set HF_TOKEN to a token that may read it." : "Check that the token in HF_TOKEN may read it.";
        throw (status, code) switch
        {
            (_, "GatedRepo") or (403, _) => new HubException(HubError.GatedRepository, $"{what} is open only to those who were granted access (status {status}). Accept its conditions on {options.Endpoint.WithoutSecrets()}, and: {token}{said}"),
            (_, "RevisionNotFound") => new HubException(HubError.RevisionNotFound, $"{what} has no revision '{revision}'.{said}"),
            (_, "EntryNotFound") => new HubException(HubError.FileNotFound, $"{what} has no file '{fileName}' in revision '{revision}'.{said}"),
            (401, not "RepoNotFound") when options.Token is not null => new HubException(HubError.Unauthorized, $"The hub refuses the token for {what}. Is the token in HF_TOKEN still valid?{said}"),
            (401 or 404, _) => new HubException(HubError.RepositoryNotFound, $"There is no {what} on {options.Endpoint.WithoutSecrets()}, or it is private. Check the name. {token}{said}"),
            (408 or 429 or >= 500, _) => new HubException(HubError.ServerError, $"The hub answers with status {status} again and again. Try again later.{said}"),
            _ => new HubException(HubError.InvalidResponse, $"The hub answers a request for {what} with status {status}.{said}"),
        };
    }
}
