using System.Security.Cryptography;
using System.Text;
using Fossil.Models.Hub;
using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;

namespace Fossil.Models.Tests.Hub;

public sealed class HubUploadTests : IDisposable
{
    private const string Token = "secret";

    private readonly FakeHub hub = new() { Token = Token, Exists = false };
    private readonly TemporaryFolder folder = new();
    private readonly HubOptions options;

    public HubUploadTests()
    {
        options = new HubOptions { Endpoint = hub.Address, Token = Token, CacheFolder = folder["hub"], RetryDelay = TimeSpan.FromMilliseconds(1), Retries = 2, Timeout = TimeSpan.FromSeconds(20) };
        hub.Files.Clear();
        Directory.CreateDirectory(folder["model/sub"]);
        File.WriteAllText(folder["model/config.json"], "{}");
        File.WriteAllText(folder["model/sub/notes.txt"], "small");
        File.WriteAllBytes(folder["model/weights.safetensors"], RandomNumberGenerator.GetBytes(2500));
        File.WriteAllBytes(folder["model/empty.bin"], []);
    }

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    [InlineData(1250)]
    public async Task A_folder_becomes_one_commit(int partBytes)
    {
        hub.PartBytes = partBytes;
        var commit = await Upload(new HubUpload { CommitMessage = "First", CommitDescription = "Why.", IsPrivate = true });
        Assert.Equal((FakeHub.Model, FakeHub.Commit), (commit.ModelId, commit.Hash));
        Assert.Equal(new Uri(hub.Address, $"{FakeHub.Model}/commit/{FakeHub.Commit}"), commit.Address);
        AssertUploaded();
        var lines = Assert.Single(hub.Commits);
        Assert.Equal("""{"summary":"First","description":"Why."}""", lines[0]["value"]!.ToJsonString());
        Assert.Equal(["file", "file", "file", "lfsFile"], lines.Skip(1).Select(line => (string?)line["key"]).Order());
        Assert.Equal("""{"name":"model","organization":"owner","type":"model","private":true}""", hub.Created.Single().ToJsonString());
        Assert.Equal(partBytes == 0 ? 1 : (2500 + partBytes - 1) / partBytes, hub.CountOf("cdn PUT"));
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_and_to_no_other_host()
    {
        hub.PartBytes = 1000;
        await Upload();
        Assert.True(hub.CountOf("cdn PUT") > 0);
        Assert.All(hub.Requests, request => Assert.Equal(request.StartsWith("hub", StringComparison.Ordinal), request.Contains(Token, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_is_there_is_not_sent_again_and_no_empty_commit_is_made()
    {
        await Upload();
        var contents = hub.CountOf("cdn PUT");
        var commit = await Upload();
        Assert.Equal(FakeHub.Commit, commit.Hash);
        Assert.Single(hub.Commits);
        File.WriteAllText(folder["model/config.json"], "{ }");
        File.Copy(folder["model/weights.safetensors"], folder["model/copy.safetensors"]);
        await Upload();
        Assert.Equal(["copy.safetensors", "config.json"], hub.Commits[1].Skip(1).Select(line => (string)line["value"]!["path"]!).OrderDescending());
        Assert.Equal(contents, hub.CountOf("cdn PUT"));
        AssertUploaded();
    }

    [Fact]
    public async Task Branches_folders_pull_requests_and_the_parent_are_passed_on()
    {
        var commit = await Upload(new HubUpload { Folder = "runs/1/", CreatesPullRequest = true, ParentCommit = FakeHub.Commit });
        Assert.Equal(new Uri(hub.Address, $"{FakeHub.Model}/discussions/1"), commit.PullRequest);
        Assert.Contains("runs/1/sub/notes.txt", hub.Files.Keys);
        File.WriteAllText(folder["model/config.json"], "[]");
        await Upload(new HubUpload { Revision = "run/2" });
        Assert.Equal("""{"branch":"run/2"}""", hub.Created.Last().ToJsonString());
        Assert.Equal(1, hub.CountOf($"hub POST /api/models/{FakeHub.Model}/commit/run%2F2"));
        File.WriteAllText(folder["model/config.json"], "3");
        await Fails(HubError.Conflict, new HubUpload { ParentCommit = new string('1', 40) });
    }

    [Fact]
    public async Task What_programs_keep_for_themselves_and_what_the_hub_ignores_stays_here()
    {
        Directory.CreateDirectory(folder["model/.git"]);
        Directory.CreateDirectory(folder["model/.cache/huggingface"]);
        foreach (var name in (string[])[".git/HEAD", ".cache/huggingface/x", ".fossil.journal", ".weights.safetensors.0123456789abcdef0123456789abcdef.tmp", "x.ignored"]) File.WriteAllText(folder["model/" + name], "x");
        File.WriteAllText(folder["model/.gitattributes"], "x");
        await Upload();
        Assert.Equal([".gitattributes", "config.json", "empty.bin", "sub/notes.txt", "weights.safetensors"], hub.Files.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_broken_connection_and_a_busy_server_are_tried_again_before_the_commit()
    {
        var faults = 0;
        hub.Fault = (server, context) =>
        {
            if (context.Request.HttpMethod is not ("PUT" or "POST") || context.Request.Url!.AbsolutePath.Contains("/commit/", StringComparison.Ordinal) || Interlocked.Increment(ref faults) % 2 == 0) return false;
            return faults % 3 == 0 ? FakeHub.Drop(context, new byte[100], 0, 1) : FakeHub.Answer(context, 503);
        };
        await Upload();
        AssertUploaded();
        Assert.Single(hub.Commits);
    }

    [Fact]
    public async Task A_commit_whose_answer_is_lost_is_not_made_twice()
    {
        hub.Fault = (_, context) =>
        {
            if (!context.Request.Url!.AbsolutePath.Contains("/commit/", StringComparison.Ordinal)) return false;
            context.Request.InputStream.CopyTo(Stream.Null);
            return FakeHub.Drop(context, new byte[100], 0, 1);
        };
        var exception = await Fails(HubError.ConnectionFailed);
        Assert.Contains($"{FakeHub.Model}/commits/main", exception.Message);
        Assert.Equal(1, hub.CountOf($"hub POST /api/models/{FakeHub.Model}/commit/"));
    }

    [Theory]
    [InlineData("/create", 401, HubError.Unauthorized)]
    [InlineData("/create", 403, HubError.Forbidden)]
    [InlineData("/create", 400, HubError.Rejected)]
    [InlineData("/preupload/", 401, HubError.Unauthorized)]
    [InlineData("/preupload/", 403, HubError.Forbidden)]
    [InlineData("/preupload/", 404, HubError.RepositoryNotFound)]
    [InlineData("/batch", 413, HubError.TooLarge)]
    [InlineData("/batch", 402, HubError.Forbidden)]
    [InlineData("/commit/", 403, HubError.Forbidden)]
    [InlineData("/commit/", 409, HubError.Conflict)]
    [InlineData("/commit/", 412, HubError.Conflict)]
    [InlineData("/commit/", 413, HubError.TooLarge)]
    [InlineData("/commit/", 422, HubError.Rejected)]
    [InlineData("/commit/", 500, HubError.ServerError)]
    public async Task What_the_hub_refuses_is_named_and_nothing_is_committed(string request, int status, HubError error)
    {
        hub.Fault = (server, context) =>
        {
            var path = context.Request.Url!.AbsolutePath;
            if (server != "hub" || !(path.Contains(request, StringComparison.Ordinal) || (request == "/create" && path.Contains("/revision/", StringComparison.Ordinal)))) return false;
            context.Request.InputStream.CopyTo(Stream.Null);
            context.Response.StatusCode = status;
            context.Response.Close("""{"error": "This is why."}"""u8.ToArray(), willBlock: true);
            return true;
        };
        var exception = await Fails(error);
        Assert.Contains("This is why.", exception.Message);
        Assert.DoesNotContain(Token, exception.Message);
        Assert.Empty(hub.Commits);
    }

    [Theory]
    [InlineData(413, HubError.TooLarge)]
    [InlineData(403, HubError.Forbidden)]
    [InlineData(422, HubError.Rejected)]
    public async Task A_file_that_the_store_refuses_is_named(int code, HubError error)
    {
        hub.Fault = (_, context) =>
        {
            if (!context.Request.Url!.AbsolutePath.EndsWith("/batch", StringComparison.Ordinal)) return false;
            var hash = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(folder["model/weights.safetensors"])));
            context.Response.Close(Encoding.UTF8.GetBytes($$"""{"objects": [{"oid": "{{hash}}", "size": 2500, "error": {"message": "Too much.", "code": {{code}} } }]}"""), willBlock: true);
            return true;
        };
        Assert.Contains("'weights.safetensors' (2500 bytes): Too much.", (await Fails(error)).Message);
        Assert.Empty(hub.Commits);
    }

    [Fact]
    public async Task A_file_that_changes_meanwhile_ends_in_no_commit()
    {
        hub.Fault = (server, context) =>
        {
            if (server == "cdn") File.AppendAllText(folder["model/weights.safetensors"], "more");
            return false;
        };
        await Fails(HubError.ChecksumMismatch);
        Assert.Empty(hub.Commits);
    }

    [Theory]
    [InlineData("""{"files": [{"path": "config.json", "uploadMode": "carrier pigeon"}]}""")]
    [InlineData("""{"files": []}""")]
    [InlineData("[]")]
    [InlineData("<html>")]
    public async Task An_answer_that_makes_no_sense_is_refused(string answer)
    {
        hub.Fault = (_, context) =>
        {
            if (!context.Request.Url!.AbsolutePath.Contains("/preupload/", StringComparison.Ordinal)) return false;
            context.Response.Close(Encoding.UTF8.GetBytes(answer), willBlock: true);
            return true;
        };
        await Fails(HubError.InvalidResponse);
    }

    [Fact]
    public async Task A_token_that_may_not_make_repositories_writes_into_one_that_is_there()
    {
        hub.Fault = (_, context) => context.Request.Url!.AbsolutePath.EndsWith("/create", StringComparison.Ordinal) && FakeHub.Answer(context, 403);
        await Upload();
        AssertUploaded();
    }

    [Fact]
    public async Task Without_an_owner_the_repository_is_the_token_s()
    {
        using var client = new HubClient(options);
        Assert.Equal(FakeHub.Model, (await client.UploadFolderAsync("model", folder["model"])).ModelId);
        Assert.Null(hub.Created.First()["organization"]);
    }

    [Fact]
    public async Task What_cannot_be_uploaded_is_refused_before_anything_is_sent()
    {
        Directory.CreateDirectory(folder["none"]);
        await Fails(HubError.Unauthorized, with: options with { Token = null });
        await Fails(HubError.Offline, with: options with { IsOffline = true });
        await Fails(HubError.InvalidName, new HubUpload { CommitMessage = " " });
        await Fails(HubError.InvalidName, new HubUpload { Folder = "../x" });
        await Fails(HubError.InvalidName, new HubUpload { Revision = "a//b" });
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task An_adapter_is_pushed_with_its_card_and_loads_by_its_id()
    {
        using var model = TinyModels.Create();
        using (var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, BaseModelNameOrPath = "owner/base" })) await adapted.PushToHubAsync(FakeHub.Model, options: options);
        Assert.Equal(["README.md", AdapterConfig.FileName, AdapterFile.FileName], hub.Files.Keys.Order(StringComparer.Ordinal));
        Assert.StartsWith(
            """
            ---
            base_model: owner/base
            library_name: peft
            pipeline_tag: text-generation
            tags:
            - base_model:adapter:owner/base
            - lora
            - transformers
            ---

            # model

            """.ReplaceLineEndings("\n"),
            Encoding.UTF8.GetString(hub.Files["README.md"]));
        Assert.Equal("Upload model", (string?)hub.Commits[0][0]["value"]!["summary"]);
        using var loaded = await model.LoadPretrainedFromHubAsync(FakeHub.Model, options: options);
    }

    [Fact]
    public async Task A_card_that_is_there_keeps_its_text_and_its_other_fields()
    {
        hub.Files["README.md"] = Encoding.UTF8.GetBytes("---\r\nlicense: mit\r\ntags: [poems, \"lora\"]\r\nwidget:\r\n  - text: Hello\r\n---\r\n# Poems\n\nMine.\n");
        using var model = TinyModels.Create();
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8 })) await adapted.PushToHubAsync(FakeHub.Model, options: options);
        var card = Encoding.UTF8.GetString(hub.Files["README.md"]);
        Assert.StartsWith("---\nlicense: mit\ntags:\n- lora\n- poems\n- transformers\nwidget:\n  - text: Hello\nlibrary_name: peft\npipeline_tag: text-generation\n---\n\n# Poems\n\nMine.\n\n### Framework versions\n\n- Fossil.Gen ", card);
        var before = hub.Commits.Count;
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8 })) await adapted.PushToHubAsync(FakeHub.Model, options: options);
        Assert.Equal(before, hub.Commits.Count);
    }

    [Fact]
    public async Task A_model_is_pushed_with_its_card_and_loads_by_its_id()
    {
        using var model = TinyModels.Create();
        await model.PushToHubAsync(FakeHub.Model, options: options);
        Assert.Contains("library_name: transformers\npipeline_tag: text-generation\n", Encoding.UTF8.GetString(hub.Files["README.md"]));
        using var loaded = await AutoModelForCausalLM.FromHubAsync(FakeHub.Model, options: options);
        Assert.Equal(FakeHub.Model, loaded.NameOrPath);
        using var adapted = loaded.AttachAdapters(new FossilConfig { ShardSize = 8 });
        adapted.SavePretrained(folder["adapter"]);
        Assert.Equal(FakeHub.Model, AdapterConfig.Load(folder["adapter"]).BaseModelNameOrPath);
    }

    private async Task<HubCommit> Upload(HubUpload? upload = null, HubOptions? with = null)
    {
        using var client = new HubClient(with ?? options);
        return await client.UploadFolderAsync(FakeHub.Model, folder["model"], upload);
    }

    private async Task<HubException> Fails(HubError error, HubUpload? upload = null, HubOptions? with = null)
    {
        var exception = await Assert.ThrowsAsync<HubException>(() => Upload(upload, with));
        Assert.Equal(error, exception.Error);
        return exception;
    }

    private void AssertUploaded()
    {
        foreach (var path in Directory.GetFiles(folder["model"], "*", SearchOption.AllDirectories)) Assert.Equal(File.ReadAllBytes(path), hub.Files[Path.GetRelativePath(folder["model"], path).Replace('\\', '/')]);
    }
}
