using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models.Hub;

/// <content>Requests that change something on the hub.</content>
internal sealed partial class HubConnection
{
    private const int MostErrorBytes = 1 << 16;
    private const int LargeBytes = 1 << 20;

    /// <summary>Sends JSON, and again where that may help.</summary>
    /// <param name="address">Where to.</param>
    /// <param name="body">What.</param>
    /// <param name="what">What it is about, for messages.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <param name="accepted">Statuses that are no errors.</param>
    /// <param name="mediaType">The type of what is sent and expected.</param>
    /// <returns>The answer's status, and its JSON; an empty object where it is none.</returns>
    public Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(Uri address, JsonObject body, string what, CancellationToken cancellationToken, HttpStatusCode[]? accepted = null, string mediaType = "application/json") => RetryAsync(
        async () =>
        {
            var bytes = System.Text.Encoding.UTF8.GetBytes(body.ToJsonString());
            using var response = await SendAsync(HttpMethod.Post, address, _ => ContentOf(bytes, mediaType), mediaType, cancellationToken).ConfigureAwait(false);
            var text = await ReadTextAsync(response, MostListBytes, cancellationToken).ConfigureAwait(false);
            if (accepted?.Contains(response.StatusCode) != true) CheckWritten(response, text, what);
            return (response.StatusCode, JsonOf(text));
        },
        cancellationToken);

    /// <summary>Sends a content once.</summary>
    /// <param name="method">PUT or POST.</param>
    /// <param name="address">Where to. The token goes along where that is the hub itself.</param>
    /// <param name="content">Makes the content, which calls back with each piece that was taken from it.</param>
    /// <param name="accept">The expected type; any where null.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <param name="headers">Further headers.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, Func<Action, HttpContent> content, string? accept, CancellationToken cancellationToken, IEnumerable<KeyValuePair<string, string>>? headers = null)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var timeout = TimeoutOf(cancellationToken);

            // What is large is not sent before the server agrees to have it.
            using var request = new HttpRequestMessage(method, address) { Content = content(() => timeout.CancelAfter(options.Timeout)) };
            request.Headers.ExpectContinue = request.Content.Headers.ContentLength is not < LargeBytes;
            if (accept is not null) request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
            foreach (var (name, value) in headers ?? []) request.Headers.TryAddWithoutValidation(name, value);
            if (request.Headers.Authorization is null) Authorize(request);
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout.Token).ConfigureAwait(false);
            if (Redirect(response, address) is not { } location) return response;
            var status = (int)response.StatusCode;
            response.Dispose();
            if (status is not (307 or 308)) throw Senseless($"it redirects what was sent to {address.WithoutSecrets()} with status {status}, which would lose it");
            if (redirects >= MostRedirects) throw Senseless($"it redirects more than {MostRedirects} times");
            address = location;
        }
    }

    /// <summary>An address that the hub gave, of which a mirror may have kept the hub's own; no less safe than the hub's.</summary>
    public Uri GivenAddress(string given)
    {
        if (!Uri.TryCreate(given, UriKind.Absolute, out var address)) throw Senseless("it says to send a file to no address");
        if (address.Host == HubOptions.DefaultEndpoint.Host && !IsSameHost(address)) address = Address(address.PathAndQuery.TrimStart('/'));
        return address.Scheme == "https" || (address.Scheme == "http" && options.Endpoint.Scheme == "http")
            ? address
            : throw Senseless($"it says to send a file to {address.Scheme}://{address.Host}, which is less safe than {options.Endpoint.Scheme}");
    }

    /// <summary>The JSON of an answer; an empty object where it is none.</summary>
    public async Task<JsonElement> ReadJsonAsync(HttpResponseMessage response, CancellationToken cancellationToken) => JsonOf(await ReadTextAsync(response, MostListBytes, cancellationToken).ConfigureAwait(false));

    private async Task<string> ReadTextAsync(HttpResponseMessage response, int most, CancellationToken cancellationToken)
    {
        using var timeout = TimeoutOf(cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(timeout.Token).ConfigureAwait(false);
        using var bytes = await ReadAtMostAsync(stream, most, timeout.Token).ConfigureAwait(false);
        return System.Text.Encoding.UTF8.GetString(bytes.ToArray());
    }

    /// <summary>Refuses an answer that is an error.</summary>
    public async Task CheckWrittenAsync(HttpResponseMessage response, string what, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode) CheckWritten(response, await ReadTextAsync(response, MostErrorBytes, cancellationToken).ConfigureAwait(false), what);
    }

    private void CheckWritten(HttpResponseMessage response, string text, string what)
    {
        if (response.IsSuccessStatusCode) return;
        var said = Said(response, text) is { Length: > 0 } message ? $" The hub says: {message}" : string.Empty;
        var (error, problem) = ((int)response.StatusCode, Header(response, "X-Error-Code")) switch
        {
            (_, "RevisionNotFound") => (HubError.RevisionNotFound, $"There is no such branch: {what} failed."),
            (401, _) => (HubError.Unauthorized, $"The hub refuses the token: {what} failed. Is the token in HF_TOKEN still valid, and may it write?"),
            (402 or 403, _) => (HubError.Forbidden, $"The token does not allow this: {what} failed. It needs the right to write, for this owner; make one on {options.Endpoint.WithoutSecrets()}settings/tokens."),
            (404, _) => (HubError.RepositoryNotFound, $"There is no such repository, or the token does not show it: {what} failed. Check the name."),
            (409 or 412, _) => (HubError.Conflict, $"The repository changed meanwhile, or has something of that name: {what} failed. Look at what is there, and try again."),
            (413, _) => (HubError.TooLarge, $"It is larger than the hub takes: {what} failed. Save in smaller files (maxShardBytes), or fewer."),
            (408 or 429 or >= 500, _) => (HubError.ServerError, $"The hub answers with status {(int)response.StatusCode}: {what} failed. Try again later."),
            _ => (HubError.Rejected, $"The hub refuses it with status {(int)response.StatusCode}: {what} failed."),
        };
        throw new HubException(error, problem + said);
    }

    private static string? Said(HttpResponseMessage response, string text)
    {
        if (Header(response, "X-Error-Message") is { } message) return message;
        var body = JsonOf(text);
        return body.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String ? error.GetString() : body.TryGetProperty("message", out var other) && other.ValueKind == JsonValueKind.String ? other.GetString() : null;
    }

    private static JsonElement JsonOf(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text.Length == 0 ? "{}" : text);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            // A proxy's page: what is needed of it will be missed.
        }

        using var empty = JsonDocument.Parse("{}");
        return empty.RootElement.Clone();
    }

    private static ByteArrayContent ContentOf(byte[] bytes, string mediaType)
    {
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new MediaTypeHeaderValue(mediaType);
        return content;
    }
}
