using System.Text;

namespace Fossil.Models.Hub;

/// <summary>Where the hub and its cache are. The environment variables are those of the Python package huggingface_hub, so that both share one cache.</summary>
public sealed record HubOptions
{
    /// <summary>The hub itself, as it is known without a mirror.</summary>
    internal static readonly Uri DefaultEndpoint = new("https://huggingface.co");

    /// <summary>The hub.</summary>
    public Uri Endpoint { get; init; } = DefaultEndpoint;

    /// <summary>The access token; null for none. It is sent to the host of <see cref="Endpoint"/> only, and never printed.</summary>
    public string? Token { get; init; }

    /// <summary>The folder that holds <c>models--OWNER--NAME</c>.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Whether to take what the cache holds and never use the network.</summary>
    public bool IsOffline { get; init; }

    /// <summary>How long to wait for an answer, and for the next bytes of a file.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often to try again after a broken connection or an error of the server, each time resuming where the last try ended.</summary>
    public int Retries { get; init; } = 5;

    /// <summary>How long to wait before the first new try; twice as long before each further one.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The options that the environment asks for: <c>HF_ENDPOINT</c>; <c>HF_TOKEN</c> or the file that <c>HF_TOKEN_PATH</c> names (<c>token</c> in <c>HF_HOME</c>);
    /// <c>HF_HUB_CACHE</c> or <c>hub</c> in <c>HF_HOME</c> (<c>~/.cache/huggingface</c>); <c>HF_HUB_OFFLINE</c>; <c>HF_HUB_DOWNLOAD_TIMEOUT</c> in seconds.
    /// </summary>
    /// <exception cref="HubException"><c>HF_ENDPOINT</c> is no address.</exception>
    public static HubOptions FromEnvironment() => FromVariables(Environment.GetEnvironmentVariable);

    /// <summary>As <see cref="FromEnvironment"/>, of the variables that <paramref name="variable"/> returns.</summary>
    internal static HubOptions FromVariables(Func<string, string?> variable)
    {
        string? Value(string name) => variable(name) is { } text && !string.IsNullOrWhiteSpace(text) ? text.Trim() : null;
        bool IsOn(string name) => Value(name)?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";
        var profile = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string Expand(string path) => path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? profile + path[1..] : path;
        var home = Expand(Value("HF_HOME") ?? Path.Combine(Value("XDG_CACHE_HOME") ?? Path.Combine(profile, ".cache"), "huggingface"));
        var tokenFile = Expand(Value("HF_TOKEN_PATH") ?? Path.Combine(home, "token"));
        var stored = !IsOn("HF_HUB_DISABLE_IMPLICIT_TOKEN") && File.Exists(tokenFile) ? File.ReadAllText(tokenFile).Trim() : null;
        var options = new HubOptions
        {
            Token = Value("HF_TOKEN") ?? Value("HUGGING_FACE_HUB_TOKEN") ?? (stored is { Length: > 0 } ? stored : null),
            CacheFolder = Expand(Value("HF_HUB_CACHE") ?? Value("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(home, "hub")),
            IsOffline = IsOn("HF_HUB_OFFLINE") || IsOn("TRANSFORMERS_OFFLINE"),
        };
        if (Value("HF_ENDPOINT") is { } endpoint)
        {
            options = Uri.TryCreate(endpoint.TrimEnd('/'), UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
                ? options with { Endpoint = address }
                : throw new HubException(HubError.InvalidName, $"HF_ENDPOINT is '{endpoint[(endpoint.LastIndexOf('@') + 1)..]}', which is no address of the web.");
        }

        return double.TryParse(Value("HF_HUB_DOWNLOAD_TIMEOUT"), System.Globalization.CultureInfo.InvariantCulture, out var seconds) && seconds > 0
            ? options with { Timeout = TimeSpan.FromSeconds(seconds) }
            : options;
    }

    /// <summary>What <see cref="ToString"/> shows: options end up in logs, where no secret belongs.</summary>
    private bool PrintMembers(StringBuilder builder)
    {
        builder.Append($"{nameof(Endpoint)} = {Endpoint.WithoutSecrets()}, {nameof(Token)} = {(Token is null ? "" : "(hidden)")}, {nameof(CacheFolder)} = {CacheFolder}, ");
        builder.Append($"{nameof(IsOffline)} = {IsOffline}, {nameof(Timeout)} = {Timeout}, {nameof(Retries)} = {Retries}, {nameof(RetryDelay)} = {RetryDelay}");
        return true;
    }
}
