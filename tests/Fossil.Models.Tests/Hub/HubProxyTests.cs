using System.Net;
using System.Security.Cryptography;
using Fossil.Models.Hub;
using Fossil.Serialization;
using Fossil.TestData;

namespace Fossil.Models.Tests.Hub;

/// <summary>Mirrors and proxies, which leave headers of the hub out or send their own; caches without links, and damaged ones.</summary>
public sealed class HubProxyTests : IDisposable
{
    private const string Weights = "model.safetensors", Config = "config.json";
    private readonly FakeHub hub = new();
    private readonly TemporaryFolder folder = new();
    private readonly HubOptions options;

    public HubProxyTests() => options = new HubOptions { Endpoint = hub.Address, CacheFolder = folder["hub"], RetryDelay = TimeSpan.FromMilliseconds(1), Retries = 1, Timeout = TimeSpan.FromSeconds(20), Token = "secret" };

    private string Snapshot => folder[$"hub/models--owner--model/snapshots/{FakeHub.Commit}"];

    [Theory]
    [InlineData(307)]
    [InlineData(302)]
    public async Task A_mirror_on_another_host_is_followed_without_the_token_and_its_redirects_headers_are_not_the_files(int status)
    {
        using var other = new FakeHub();
        foreach (var (name, content) in hub.Files) other.Files[name] = content;
        hub.Fault = (_, context) => context.Request.Url!.AbsolutePath.Contains("/resolve/", StringComparison.Ordinal) && FakeHub.Answer(
            context, status, ("Location", new Uri(other.Address, context.Request.Url.PathAndQuery).ToString()), ("ETag", "\"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\""), ("X-Repo-Commit", FakeHub.Commit));
        await ModelIsWhole();
        Assert.True(other.CountOf("hub HEAD") > 0);
        Assert.DoesNotContain(other.Requests, request => request.Contains("secret", StringComparison.Ordinal));
        Assert.Contains(hub.Requests, request => request.Contains("Bearer secret", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("none")]
    [InlineData("foreign")]
    [InlineData("md5")]
    [InlineData("same for all")]
    [InlineData("of something else")]
    [InlineData("sha1")]
    public async Task A_proxy_with_etags_of_its_own_and_no_commit_serves_a_model(string kind)
    {
        hub.Fault = (_, context) => Proxy(context, content => kind switch
        {
            "none" => null,
            "foreign" => "W/\"65f1-61a;gzip\"",
            "md5" => $"\"{Convert.ToHexStringLower(MD5.HashData(content))}\"",
            "same for all" => "\"1\"",
            "of something else" => $"\"{new string('a', 40)}\"",
            _ => $"\"{Convert.ToHexStringLower(SHA1.HashData(content))}\"",
        });
        await ModelIsWhole();
        var requests = hub.CountOf("hub GET /owner/model/resolve/");
        await ModelIsWhole();
        Assert.Equal(requests, hub.CountOf("hub GET /owner/model/resolve/"));
        using var client = new HubClient(options);
        Assert.Equal(hub.Files[Config], File.ReadAllBytes(await client.DownloadFileAsync(FakeHub.Model, Config)));
    }

    [Fact]
    public async Task The_hubs_commit_with_a_plain_sha1_is_accepted()
    {
        hub.Fault = (_, context) => Proxy(context, content => Convert.ToHexStringLower(SHA1.HashData(content)), commit: FakeHub.Commit);
        await ModelIsWhole();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_says_no_length_serves_a_model(bool isZero)
    {
        hub.Fault = (_, context) => Proxy(context, _ => null, length: isZero ? 0 : null);
        await ModelIsWhole();
    }

    [Fact]
    public async Task A_server_without_HEAD_serves_a_model()
    {
        hub.Fault = (_, context) => context.Request.HttpMethod == "HEAD" && FakeHub.Answer(context, 405);
        await ModelIsWhole();
    }

    [Fact]
    public async Task A_cache_without_links_holds_a_content_once_and_fetches_it_once()
    {
        FileOperations.Before = operation =>
        {
            if (operation.StartsWith("link ", StringComparison.Ordinal)) throw new IOException("Operation not supported");
        };
        try
        {
            await ModelIsWhole();
            Assert.Null(new FileInfo(Path.Combine(Snapshot, Weights)).LinkTarget);
            Assert.Empty(Directory.EnumerateFiles(folder["hub/models--owner--model/blobs"]));
            await ModelIsWhole();
            Assert.Equal(1, hub.CountOf("cdn GET"));

            // A commit that changed something else.
            var later = Path.Combine(Path.GetDirectoryName(Snapshot)!, new string('b', 40));
            Directory.Move(Snapshot, later);
            await ModelIsWhole();
            Assert.Equal(1, hub.CountOf("cdn GET"));
        }
        finally
        {
            FileOperations.Before = null;
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_truncated_file_is_replaced(bool isLink)
    {
        await ModelIsWhole();
        var path = Path.Combine(Snapshot, Weights);
        if (!isLink) File.Delete(path);
        File.WriteAllBytes(path, hub.Files[Weights][..1000]);
        await ModelIsWhole();
        using var client = new HubClient(options);
        File.WriteAllBytes(path, hub.Files[Weights][..1000]);
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(await client.DownloadFileAsync(FakeHub.Model, Weights, FakeHub.Commit)));
    }

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
    }

    /// <summary>Answers for a file as a proxy that holds it does, with what it says of itself; leaves the rest to the hub.</summary>
    private bool Proxy(HttpListenerContext context, Func<byte[], string?> etag, string? commit = null, long? length = -1)
    {
        var path = context.Request.Url!.AbsolutePath;
        if (!path.Contains("/resolve/", StringComparison.Ordinal)) return false;
        var content = hub.Files[path.Split('/', 6)[5]];
        if (etag(content) is { } value) context.Response.AddHeader("ETag", value);
        if (commit is not null) context.Response.AddHeader("X-Repo-Commit", commit);
        var isHead = context.Request.HttpMethod == "HEAD";
        if (length is null) context.Response.SendChunked = true;
        else context.Response.ContentLength64 = length < 0 || !isHead ? content.Length : length.Value;
        if (!isHead) context.Response.OutputStream.Write(content);
        context.Response.Close();
        return true;
    }

    private async Task ModelIsWhole()
    {
        using var client = new HubClient(options);
        var snapshot = await client.DownloadModelAsync(FakeHub.Model);
        Assert.Equal(Snapshot, snapshot);
        foreach (var name in new[] { Config, Weights }) Assert.Equal(hub.Files[name], File.ReadAllBytes(Path.Combine(snapshot, name)));
    }
}
