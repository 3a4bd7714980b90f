using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Fossil.Models.Tests.Hub;

/// <summary>
/// A server on this machine that answers as the Hugging Face hub does: the list of a model's files, HEAD requests with the headers that say what a
/// file is, redirects of large files to a second server without the hub's headers, ranges, and the hub's error codes; and it takes uploads.
/// </summary>
internal sealed partial class FakeHub : IDisposable
{
    public const string Model = "owner/model";
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    /// <summary>What in a redirect's address opens the content to whoever has it.</summary>
    public const string Signature = "signed";

    private readonly HttpListener hub;
    private readonly HttpListener cdn;
    private readonly Uri cdnAddress;

    public FakeHub()
    {
        (hub, Address) = Listen();
        (cdn, cdnAddress) = Listen();
        _ = ServeAsync(hub, AnswerHub);
        _ = ServeAsync(cdn, AnswerCdn);
    }

    public Uri Address { get; }

    /// <summary>The model's files; those of more than 1000 bytes are kept on the second server, as large files are.</summary>
    public Dictionary<string, byte[]> Files { get; } = new()
    {
        ["config.json"] = "{}"u8.ToArray(),
        ["README.md"] = "# model"u8.ToArray(),
        ["onnx/model.onnx"] = new byte[10],
        ["model.safetensors"] = RandomNumberGenerator.GetBytes(200_000),
    };

    /// <summary>The token that opens the model; null where it is open to all.</summary>
    public string? Token { get; set; }

    /// <summary>Takes a request over: a fault. True where it has answered.</summary>
    public Func<string, HttpListenerContext, bool> Fault { get; set; } = (_, _) => false;

    /// <summary>"METHOD path range token" of each request, with "hub" or "cdn" before it.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    public int CountOf(string start) => Requests.Count(request => request.StartsWith(start, StringComparison.Ordinal));

    /// <summary>Sends the first bytes of what it promises, and breaks off.</summary>
    public static bool Drop(HttpListenerContext context, byte[] content, int from, int bytes)
    {
        context.Response.StatusCode = from > 0 ? 206 : 200;
        if (from > 0) context.Response.AddHeader("Content-Range", $"bytes {from}-{content.Length - 1}/{content.Length}");
        context.Response.ContentLength64 = content.Length - from;
        context.Response.OutputStream.Write(content, from, bytes);
        context.Response.OutputStream.Flush();
        context.Response.Abort();
        return true;
    }

    public static bool Answer(HttpListenerContext context, int status, params (string Name, string Value)[] headers)
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers) context.Response.AddHeader(name, value);
        context.Response.Close();
        return true;
    }

    public static string ETag(byte[] content) => content.Length > 1000
        ? Convert.ToHexStringLower(SHA256.HashData(content))
        : Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));

    public void Dispose()
    {
        hub.Close();
        cdn.Close();
    }

    private static (HttpListener Listener, Uri Address) Listen()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var address = new Uri($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/");
        probe.Stop();
        var listener = new HttpListener();
        listener.Prefixes.Add(address.ToString());
        listener.Start();
        return (listener, address);
    }

    private static async Task ServeAsync(HttpListener listener, Action<HttpListenerContext> answer)
    {
        while (listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }

            _ = Task.Run(() =>
            {
                try
                {
                    answer(context);
                }
                catch (Exception exception) when (exception is HttpListenerException or IOException or ObjectDisposedException)
                {
                    // The client went away, as in the test of cancellation.
                    context.Response.Abort();
                }
            });
        }
    }

    private static void Send(HttpListenerContext context, byte[] content)
    {
        var range = context.Request.Headers["Range"];
        var from = range is null ? 0 : int.Parse(range.Replace("bytes=", "", StringComparison.Ordinal).TrimEnd('-'));
        if (from > 0)
        {
            context.Response.StatusCode = 206;
            context.Response.AddHeader("Content-Range", $"bytes {from}-{content.Length - 1}/{content.Length}");
        }

        context.Response.ContentLength64 = content.Length - from;
        if (context.Request.HttpMethod != "HEAD") context.Response.OutputStream.Write(content, from, content.Length - from);
        context.Response.Close();
    }

    private void Note(string server, HttpListenerContext context) =>
        Requests.Enqueue($"{server} {context.Request.HttpMethod} {context.Request.Url!.AbsolutePath} {context.Request.Headers["Range"]} {context.Request.Headers["Authorization"]}".TrimEnd());

    private void AnswerHub(HttpListenerContext context)
    {
        Note("hub", context);
        var path = context.Request.Url!.AbsolutePath.TrimStart('/');
        if (Fault("hub", context)) return;
        if (Token is not null && context.Request.Headers["Authorization"] != "Bearer " + Token)
        {
            Answer(context, 401, ("X-Error-Code", context.Request.Headers["Authorization"] is null ? "GatedRepo" : "Unauthorized"), ("X-Error-Message", "Access is restricted."));
        }
        else if (context.Request.HttpMethod == "POST")
        {
            if (!AnswerUpload(context, path)) Answer(context, 404, ("X-Error-Code", "RepoNotFound"));
        }
        else if (path.StartsWith($"api/models/{Model}/revision/", StringComparison.Ordinal))
        {
            if (!IsRevision(path[(path.LastIndexOf('/') + 1)..])) Answer(context, 404, ("X-Error-Code", "RevisionNotFound"));
            else Send(context, Encoding.UTF8.GetBytes(new JsonObject { ["sha"] = Commit, ["siblings"] = new JsonArray([.. Files.Keys.Select(name => new JsonObject { ["rfilename"] = name })]) }.ToJsonString()));
        }
        else if (path.StartsWith($"{Model}/resolve/", StringComparison.Ordinal))
        {
            var parts = path[$"{Model}/resolve/".Length..].Split('/', 2);
            if (!IsRevision(parts[0])) Answer(context, 404, ("X-Error-Code", "RevisionNotFound"));
            else if (!Files.TryGetValue(parts[1], out var content)) Answer(context, 404, ("X-Error-Code", "EntryNotFound"));
            else AnswerFile(context, parts[1], content);
        }
        else
        {
            Answer(context, 404, ("X-Error-Code", "RepoNotFound"));
        }
    }

    private void AnswerFile(HttpListenerContext context, string name, byte[] content)
    {
        context.Response.AddHeader("X-Repo-Commit", Commit);
        if (content.Length <= 1000)
        {
            context.Response.AddHeader("ETag", $"\"{ETag(content)}\"");
            Send(context, content);
            return;
        }

        Answer(context, 302, ("X-Linked-Etag", $"\"{ETag(content)}\""), ("X-Linked-Size", $"{content.Length}"), ("Location", new Uri(cdnAddress, $"{name}?X-Amz-Signature={Signature}").ToString()));
    }

    private void AnswerCdn(HttpListenerContext context)
    {
        Note("cdn", context);
        if (Fault("cdn", context) || (context.Request.HttpMethod == "PUT" && AnswerPut(context))) return;
        Send(context, Files[context.Request.Url!.AbsolutePath.TrimStart('/')]);
    }

    private static bool IsRevision(string revision) => revision is "main" or Commit;
}
