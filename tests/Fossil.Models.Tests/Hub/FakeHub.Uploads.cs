using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Fossil.Models.Tests.Hub;

/// <content>Uploads as the hub takes them: a repository is made, files are announced, large ones go to the second server (whole or in parts) and are checked, and a commit brings all of them in.</content>
internal sealed partial class FakeHub
{
    private readonly ConcurrentDictionary<string, byte[]> stored = new();
    private readonly ConcurrentDictionary<string, byte[]> parts = new();

    /// <summary>Whether the repository is there; it is for downloads.</summary>
    public bool Exists { get; set; } = true;

    /// <summary>Bytes of a part; 0 to have large files sent whole.</summary>
    public int PartBytes { get; set; }

    /// <summary>The commits that were made: their lines.</summary>
    public List<JsonObject[]> Commits { get; } = [];

    /// <summary>What repositories and branches were made with.</summary>
    public ConcurrentQueue<JsonObject> Created { get; } = new();

    private static JsonObject Body(HttpListenerContext context) => JsonNode.Parse(context.Request.InputStream)!.AsObject();

    private static bool AnswerJson(HttpListenerContext context, int status, JsonObject body)
    {
        context.Response.StatusCode = status;
        Send(context, Encoding.UTF8.GetBytes(body.ToJsonString()));
        return true;
    }

    private bool AnswerUpload(HttpListenerContext context, string path)
    {
        if (path == "api/repos/create") return Create(context);
        if (path.StartsWith($"api/models/{Model}/preupload/", StringComparison.Ordinal)) return AnswerJson(context, 200, new JsonObject { ["files"] = new JsonArray([.. Body(context)["files"]!.AsArray().Select(file => Announced(file!.AsObject()))]) });
        if (path.StartsWith($"api/models/{Model}/branch/", StringComparison.Ordinal))
        {
            Created.Enqueue(new JsonObject { ["branch"] = Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..]) });
            return Answer(context, 409);
        }

        if (path == $"{Model}.git/info/lfs/objects/batch") return AnswerJson(context, 200, new JsonObject { ["transfer"] = "basic", ["objects"] = new JsonArray([.. Body(context)["objects"]!.AsArray().Select(item => Action(item!.AsObject()))]) });
        if (path == "complete") return Complete(context);
        if (path == "verify")
        {
            var body = Body(context);
            return Answer(context, stored.TryGetValue((string)body["oid"]!, out var content) && content.Length == (long)body["size"]! ? 200 : 422);
        }

        return path.StartsWith($"api/models/{Model}/commit/", StringComparison.Ordinal) && AddCommit(context);
    }

    private bool Create(HttpListenerContext context)
    {
        var body = Body(context);
        Created.Enqueue(body);
        var status = Exists ? 409 : 200;
        Exists = true;
        return AnswerJson(context, status, new JsonObject { ["url"] = new Uri(Address, Model).ToString(), ["error"] = "You already created this model repo" });
    }

    private JsonNode Announced(JsonObject file)
    {
        var (path, size, sample) = ((string)file["path"]!, (long)file["size"]!, Convert.FromBase64String((string)file["sample"]!));
        return new JsonObject
        {
            ["path"] = path,
            ["uploadMode"] = size > 1000 || sample.Contains((byte)0) ? "lfs" : "regular",
            ["shouldIgnore"] = path.EndsWith(".ignored", StringComparison.Ordinal),
            ["oid"] = Files.TryGetValue(path, out var content) ? ETag(content) : null,
        };
    }

    private JsonNode Action(JsonObject item)
    {
        var (hash, size) = ((string)item["oid"]!, (int)item["size"]!);
        var answer = new JsonObject { ["oid"] = hash, ["size"] = size };
        if (stored.ContainsKey(hash)) return answer;
        var header = new JsonObject();
        if (PartBytes > 0)
        {
            header["chunk_size"] = PartBytes.ToString();
            for (var part = 1; part <= (size + PartBytes - 1) / PartBytes; part++) header[part.ToString("D5")] = new Uri(cdnAddress, $"{hash}/{part}?X-Amz-Signature={Signature}").ToString();
        }

        answer["actions"] = new JsonObject
        {
            ["upload"] = new JsonObject { ["href"] = PartBytes > 0 ? new Uri(Address, "complete").ToString() : new Uri(cdnAddress, $"{hash}?X-Amz-Signature={Signature}").ToString(), ["header"] = header },
            ["verify"] = new JsonObject { ["href"] = new Uri(Address, "verify").ToString() },
        };
        return answer;
    }

    private bool AnswerPut(HttpListenerContext context)
    {
        using var content = new MemoryStream();
        context.Request.InputStream.CopyTo(content);
        var (bytes, path) = (content.ToArray(), context.Request.Url!.AbsolutePath.Trim('/').Split('/'));
        if (bytes.Length != context.Request.ContentLength64) return Answer(context, 400);
        if (path.Length > 1)
        {
            parts[string.Join('/', path)] = bytes;
            return Answer(context, 200, ("ETag", $"\"{path[1]}\""));
        }

        var isRight = Convert.ToHexStringLower(SHA256.HashData(bytes)) == path[0];
        if (isRight) stored[path[0]] = bytes;
        return Answer(context, isRight ? 200 : 400);
    }

    private bool Complete(HttpListenerContext context)
    {
        var body = Body(context);
        var hash = (string)body["oid"]!;
        byte[] whole = [.. body["parts"]!.AsArray().SelectMany(part => (string)part!["etag"]! == $"\"{part["partNumber"]}\"" ? parts[$"{hash}/{part["partNumber"]}"] : [])];
        if (Convert.ToHexStringLower(SHA256.HashData(whole)) != hash) return Answer(context, 400);
        stored[hash] = whole;
        return Answer(context, 200);
    }

    private bool AddCommit(HttpListenerContext context)
    {
        using var reader = new StreamReader(context.Request.InputStream);
        JsonObject[] lines = [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];
        if (context.Request.ContentType != "application/x-ndjson" || (string?)lines[0]["key"] != "header") return Answer(context, 400);
        if (lines[0]["value"]!["parentCommit"] is { } parent && (string?)parent != Commit) return AnswerJson(context, 412, new JsonObject { ["error"] = "A commit has happened since. Please refresh and try again." });
        var contents = new Dictionary<string, byte[]>();
        foreach (var line in lines.Skip(1))
        {
            var value = line["value"]!;
            if ((string?)line["key"] == "file") contents[(string)value["path"]!] = Convert.FromBase64String((string)value["content"]!);
            else if (stored.TryGetValue((string)value["oid"]!, out var large) && large.Length == (long)value["size"]!) contents[(string)value["path"]!] = large;
            else return AnswerJson(context, 400, new JsonObject { ["error"] = $"LFS pointer pointed to a file that does not exist: {value["path"]}" });
        }

        foreach (var (path, content) in contents) Files[path] = content;
        Commits.Add(lines);
        var answer = new JsonObject { ["commitUrl"] = new Uri(Address, $"{Model}/commit/{Commit}").ToString(), ["commitOid"] = Commit };
        if (context.Request.QueryString["create_pr"] == "1") answer["pullRequestUrl"] = new Uri(Address, $"{Model}/discussions/1").ToString();
        return AnswerJson(context, 200, answer);
    }
}
