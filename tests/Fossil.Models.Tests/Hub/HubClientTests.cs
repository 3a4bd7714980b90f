using System.Net;
using Fossil.Models.Gguf;
using Fossil.Models.Hub;
using Fossil.TestData;

namespace Fossil.Models.Tests.Hub;

public sealed partial class HubClientTests : IDisposable
{
    private const string Weights = "model.safetensors";
    private readonly FakeHub hub = new();
    private readonly TemporaryFolder folder = new();
    private readonly HubOptions options;

    public HubClientTests() => options = new HubOptions { Endpoint = hub.Address, CacheFolder = folder["hub"], RetryDelay = TimeSpan.FromMilliseconds(1), Retries = 2, Timeout = TimeSpan.FromSeconds(20) };

    private string Cache => folder["hub/models--owner--model"];

    private string BlobOf(string file) => Path.Combine(Cache, "blobs", FakeHub.ETag(hub.Files[file]));

    [Fact]
    public async Task A_model_is_cached_as_huggingface_hub_does()
    {
        var snapshot = await DownloadModel();
        Assert.Equal(Path.Combine(Cache, "snapshots", FakeHub.Commit), snapshot);
        Assert.Equal(["config.json", Weights], Directory.EnumerateFileSystemEntries(snapshot).Select(Path.GetFileName).Order());
        Assert.Equal(FakeHub.Commit, File.ReadAllText(Path.Combine(Cache, "refs", "main")));
        Assert.Equal($"../../blobs/{FakeHub.ETag(hub.Files[Weights])}", new FileInfo(Path.Combine(snapshot, Weights)).LinkTarget);
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(Cache, "blobs"), "*.incomplete"));
    }

    [Fact]
    public async Task What_is_there_is_not_fetched_again()
    {
        var snapshot = await DownloadModel();
        var contents = hub.CountOf("cdn GET");
        Assert.Equal(snapshot, await DownloadModel());
        Assert.Equal(contents, hub.CountOf("cdn GET"));
        Assert.Equal(1, hub.CountOf("hub GET /owner/model/resolve/"));
    }

    [Fact]
    public async Task Several_weight_files_come_with_their_index_and_without_other_formats()
    {
        hub.Files.Remove(Weights);
        hub.Files["model.safetensors.index.json"] = """{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"""u8.ToArray();
        hub.Files["model-00001-of-00002.safetensors"] = new byte[5];
        hub.Files["model-00002-of-00002.safetensors"] = new byte[6];
        hub.Files["consolidated.safetensors"] = new byte[7];
        hub.Files["pytorch_model.bin.index.json"] = new byte[8];
        hub.Files["chat_template.jinja"] = new byte[9];
        hub.Files["additional_chat_templates/rag.jinja"] = new byte[8];
        var snapshot = await DownloadModel();
        Assert.Equal(
            ["additional_chat_templates/rag.jinja", "chat_template.jinja", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
            Directory.EnumerateFiles(snapshot, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(snapshot, file)).Order(StringComparer.Ordinal));
        Assert.Equal(snapshot, await DownloadModel(options with { IsOffline = true }));
        File.Delete(Path.Combine(snapshot, "model-00002-of-00002.safetensors"));
        await Fails(HubError.Offline, () => DownloadModel(options with { IsOffline = true }));
    }

    [Fact]
    public async Task A_model_without_safetensors_says_what_it_has_instead_and_a_GGUF_file_loads_by_its_name()
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var model = Decoder.TinyModels.Create();
        model.SaveGguf(folder["tiny.gguf"], GgufTensorType.F16);
        hub.Files.Remove(Weights);
        hub.Files["tiny-f16.gguf"] = File.ReadAllBytes(folder["tiny.gguf"]);
        var exception = await Assert.ThrowsAsync<HubException>(() => LlamaForCausalLM.FromHubAsync(FakeHub.Model, options: options));
        Assert.Equal(HubError.FileNotFound, exception.Error);
        Assert.Contains("tiny-f16.gguf", exception.Message, StringComparison.Ordinal);

        using var loaded = await LlamaForCausalLM.FromHubAsync(FakeHub.Model, options: options, fileName: "tiny-f16.gguf");
        Assert.Equal(model.Config.HiddenSize, loaded.Config.HiddenSize);
        hub.Files.Remove("tiny-f16.gguf");
        Assert.Contains("pytorch_model.bin", (await Assert.ThrowsAsync<HubException>(() => LlamaForCausalLM.FromHubAsync(FakeHub.Model, options: options))).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_model_in_several_GGUF_files_loads_by_the_name_of_one()
    {
        foreach (var part in GoldenQuantisedCases.SplitFiles()) hub.Files["f32/" + Path.GetFileName(part)] = File.ReadAllBytes(part);
        using var loaded = await LlamaForCausalLM.FromHubAsync(FakeHub.Model, options: options, fileName: "f32/" + Path.GetFileName(GoldenQuantisedCases.SplitFiles()[1]));
        Assert.False(loaded.Config.TieWordEmbeddings);
        Assert.Equal(3, hub.CountOf("cdn GET"));
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_and_not_to_where_it_redirects()
    {
        hub.Token = "secret";
        await DownloadModel(options with { Token = "secret" });
        Assert.All(hub.Requests, request => Assert.Equal(request.StartsWith("hub", StringComparison.Ordinal), request.Contains("Bearer secret", StringComparison.Ordinal)));
        Assert.True(hub.CountOf("cdn GET") > 0);
    }

    [Fact]
    public async Task A_broken_connection_is_resumed_where_it_broke()
    {
        var drops = 0;
        hub.Fault = (server, context) => server == "cdn" && drops++ < 2 && FakeHub.Drop(context, hub.Files[Weights], From(context), 50_000);
        var snapshot = await DownloadModel();
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
        var ranges = hub.Requests.Where(request => request.StartsWith("cdn", StringComparison.Ordinal)).Select(From).ToArray();
        Assert.Equal(3, ranges.Length);
        Assert.True(0 == ranges[0] && ranges[0] < ranges[1] && ranges[1] < ranges[2] && ranges[2] <= 100_000, string.Join(", ", ranges));
    }

    [Fact]
    public async Task A_connection_that_breaks_always_is_an_error_and_a_later_try_resumes()
    {
        hub.Fault = (server, context) => server == "cdn" && FakeHub.Drop(context, hub.Files[Weights], From(context), 10_000);
        await Fails(HubError.ConnectionFailed, () => DownloadModel());
        var incomplete = BlobOf(Weights) + ".incomplete";
        Assert.InRange(new FileInfo(incomplete).Length, 1, 30_000);
        hub.Fault = (_, _) => false;
        hub.Requests.Clear();
        var snapshot = await DownloadModel();
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
        Assert.True(From(hub.Requests.Single(request => request.StartsWith("cdn", StringComparison.Ordinal))) > 0);
        Assert.False(File.Exists(incomplete));
    }

    [Fact]
    public async Task A_server_that_cannot_resume_sends_everything_again()
    {
        Directory.CreateDirectory(Path.Combine(Cache, "blobs"));
        File.WriteAllBytes(BlobOf(Weights) + ".incomplete", hub.Files[Weights][..1234]);
        hub.Fault = (server, context) =>
        {
            if (server == "cdn") context.Request.Headers.Remove("Range");
            return false;
        };
        var snapshot = await DownloadModel();
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
    }

    [Fact]
    public async Task A_wrong_beginning_from_elsewhere_is_thrown_away()
    {
        Directory.CreateDirectory(Path.Combine(Cache, "blobs"));
        File.WriteAllBytes(BlobOf(Weights) + ".incomplete", new byte[1234]);
        var snapshot = await DownloadModel();
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
    }

    [Theory]
    [InlineData(Weights)]
    [InlineData("config.json")]
    public async Task A_wrong_content_is_an_error_and_is_not_kept(string file)
    {
        var wrong = hub.Files[file].ToArray();
        wrong[0] ^= 1;
        hub.Fault = (_, context) =>
        {
            if (context.Request.HttpMethod != "GET" || !context.Request.Url!.AbsolutePath.EndsWith(file, StringComparison.Ordinal) || context.Request.Url.AbsolutePath.Contains("resolve", StringComparison.Ordinal) != (file == "config.json")) return false;
            context.Response.ContentLength64 = wrong.Length;
            context.Response.OutputStream.Write(wrong);
            context.Response.Close();
            return true;
        };
        var exception = await Fails(HubError.ChecksumMismatch, () => DownloadModel());
        Assert.Contains(FakeHub.ETag(hub.Files[file]), exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.Combine(Cache, "blobs")), path => path.Contains(FakeHub.ETag(hub.Files[file]), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_passing_error_of_the_server_is_survived()
    {
        var errors = 0;
        hub.Fault = (_, context) => errors++ % 3 < 2 && FakeHub.Answer(context, errors % 2 == 0 ? 500 : 429);
        var snapshot = await DownloadModel();
        Assert.Equal(hub.Files[Weights], File.ReadAllBytes(Path.Combine(snapshot, Weights)));
    }

    [Fact]
    public async Task A_lasting_error_of_the_server_is_an_error()
    {
        hub.Fault = (_, context) => FakeHub.Answer(context, 503);
        var exception = await Fails(HubError.ServerError, () => DownloadModel());
        Assert.Contains("503", exception.Message, StringComparison.Ordinal);
        Assert.Equal(3, hub.Requests.Count);
    }

    [Theory]
    [InlineData(401, "GatedRepo", null, HubError.GatedRepository)]
    [InlineData(403, null, "t", HubError.GatedRepository)]
    [InlineData(401, null, "t", HubError.Unauthorized)]
    [InlineData(401, "RepoNotFound", null, HubError.RepositoryNotFound)]
    [InlineData(401, null, null, HubError.RepositoryNotFound)]
    [InlineData(404, "RepoNotFound", null, HubError.RepositoryNotFound)]
    [InlineData(404, "RevisionNotFound", null, HubError.RevisionNotFound)]
    [InlineData(404, "EntryNotFound", null, HubError.FileNotFound)]
    [InlineData(418, null, null, HubError.InvalidResponse)]
    public async Task A_refusal_is_a_named_error_without_further_tries(int status, string? code, string? token, HubError expected)
    {
        hub.Fault = (_, context) => FakeHub.Answer(context, status, code is null ? [] : [("X-Error-Code", code), ("X-Error-Message", "because")]);
        var exception = await Fails(expected, () => DownloadFile("config.json", options with { Token = token }));
        Assert.Single(hub.Requests);
        if (code is not null) Assert.Contains("because", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_does_not_exist_is_told_apart()
    {
        using var client = new HubClient(options);
        await Fails(HubError.RepositoryNotFound, () => client.DownloadModelAsync("owner/other"));
        await Fails(HubError.RevisionNotFound, () => client.DownloadModelAsync(FakeHub.Model, "v2"));
        await Fails(HubError.FileNotFound, () => client.DownloadFileAsync(FakeHub.Model, "missing.json"));
    }

    [Theory]
    [InlineData("..", "config.json", "main")]
    [InlineData("a/b/c", "config.json", "main")]
    [InlineData("a--b/c", "config.json", "main")]
    [InlineData(FakeHub.Model, "../config.json", "main")]
    [InlineData(FakeHub.Model, "/etc/passwd", "main")]
    [InlineData(FakeHub.Model, "config.json", "../../x")]
    public async Task A_name_that_leads_elsewhere_is_refused_before_any_request(string model, string file, string revision)
    {
        using var client = new HubClient(options);
        await Fails(HubError.InvalidName, () => client.DownloadFileAsync(model, file, revision));
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task Names_and_hashes_that_the_hub_sends_are_not_trusted()
    {
        hub.Files["../../evil.json"] = new byte[3];
        await Fails(HubError.InvalidName, () => DownloadModel());
        hub.Fault = (_, context) => FakeHub.Answer(context, 200, ("X-Repo-Commit", FakeHub.Commit), ("ETag", "\"../../evil\""));
        await Fails(HubError.InvalidResponse, () => DownloadFile("config.json"));
        hub.Fault = (_, context) => FakeHub.Answer(context, 200, ("X-Repo-Commit", "../evil"), ("ETag", "\"abc\""));
        await Fails(HubError.InvalidResponse, () => DownloadFile("config.json"));
        hub.Fault = (_, context) => FakeHub.Answer(context, 302, ("Location", hub.Address.ToString()));
        await Fails(HubError.InvalidResponse, () => DownloadFile("config.json"));
    }

    [Fact]
    public async Task Offline_nothing_is_asked_and_the_cache_answers()
    {
        var offline = options with { IsOffline = true };
        var exception = await Fails(HubError.Offline, () => DownloadModel(offline));
        Assert.Contains("HF_HUB_OFFLINE", exception.Message, StringComparison.Ordinal);
        var snapshot = await DownloadModel();
        hub.Requests.Clear();
        Assert.Equal(snapshot, await DownloadModel(offline));
        Assert.Equal(Path.Combine(snapshot, "config.json"), await DownloadFile("config.json", offline));
        await Fails(HubError.Offline, () => DownloadFile("README.md", offline));
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task Without_the_hub_the_last_known_state_is_taken()
    {
        var snapshot = await DownloadModel();
        hub.Dispose();
        Assert.Equal(snapshot, await DownloadModel());
        Assert.Equal(Path.Combine(snapshot, Weights), await DownloadFile(Weights));
        await Fails(HubError.ConnectionFailed, () => DownloadFile("README.md"));
    }

    [Fact]
    public async Task A_cache_that_python_wrote_is_read()
    {
        Directory.CreateDirectory(Path.Combine(Cache, "refs"));
        Directory.CreateDirectory(Path.Combine(Cache, "blobs"));
        var snapshot = Directory.CreateDirectory(Path.Combine(Cache, "snapshots", FakeHub.Commit)).FullName;
        File.WriteAllText(Path.Combine(Cache, "refs", "main"), FakeHub.Commit);
        foreach (var name in new[] { "config.json", Weights })
        {
            File.WriteAllBytes(BlobOf(name), hub.Files[name]);
            File.CreateSymbolicLink(Path.Combine(snapshot, name), "../../blobs/" + FakeHub.ETag(hub.Files[name]));
        }

        Assert.Equal(snapshot, await DownloadModel(options with { IsOffline = true }));
        Assert.Equal(snapshot, await DownloadModel());
        Assert.Equal(0, hub.CountOf("cdn"));
    }

    [Fact]
    public async Task Two_at_once_fetch_a_content_once()
    {
        var snapshots = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => DownloadModel())));
        Assert.Single(snapshots.Distinct());
        Assert.Equal(1, hub.CountOf("cdn GET"));
    }

    [Fact]
    public async Task Fetching_waits_while_another_process_holds_the_lock()
    {
        var locks = Directory.CreateDirectory(folder["hub/.locks/models--owner--model"]).FullName;
        Task<string> fetching;
        using (File.Open(Path.Combine(locks, FakeHub.ETag(hub.Files[Weights]) + ".lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            fetching = DownloadFile(Weights);
            await Task.Delay(300);
            Assert.False(fetching.IsCompleted);
            Assert.Equal(0, hub.CountOf("cdn"));
        }

        await fetching;
    }

    [Fact]
    public async Task Cancelling_keeps_what_has_arrived()
    {
        using var source = new CancellationTokenSource();
        using var client = new HubClient(options);
        hub.Fault = (server, context) =>
        {
            if (server != "cdn") return false;
            context.Response.ContentLength64 = hub.Files[Weights].Length;
            context.Response.OutputStream.Write(hub.Files[Weights], 0, 60_000);
            context.Response.OutputStream.Flush();
            source.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(20));
            return FakeHub.Answer(context, 200);
        };
        var progress = new Immediate(report => { if (report.BytesDone > 50_000) source.Cancel(); });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.DownloadFileAsync(FakeHub.Model, Weights, progress: progress, cancellationToken: source.Token));
        Assert.InRange(new FileInfo(BlobOf(Weights) + ".incomplete").Length, 50_001, 60_000);
    }

    [Fact]
    public async Task A_cache_that_cannot_be_written_is_a_named_error()
    {
        File.WriteAllText(folder["file"], "no folder");
        await Fails(HubError.CacheNotWritable, () => DownloadFile("config.json", options with { CacheFolder = folder["file"] }));
    }

    [Fact]
    public void The_environment_is_that_of_huggingface_hub()
    {
        File.WriteAllText(folder["token"], "stored\n");
        HubOptions Read(params (string Name, string Value)[] variables) => HubOptions.FromVariables(name => variables.FirstOrDefault(v => v.Name == name).Value);
        var plain = Read(("HF_HOME", folder.Path));
        Assert.Equal((new Uri("https://huggingface.co"), "stored", folder["hub"], false), (plain.Endpoint, plain.Token, plain.CacheFolder, plain.IsOffline));
        var all = Read(("HF_HOME", folder.Path), ("HF_ENDPOINT", "http://127.0.0.1:8/"), ("HF_TOKEN", " t "), ("HF_HUB_CACHE", "/cache"), ("HF_HUB_OFFLINE", "1"), ("HF_HUB_DOWNLOAD_TIMEOUT", "7"));
        Assert.Equal(("http://127.0.0.1:8/", "t", "/cache", true, 7.0), (all.Endpoint.ToString(), all.Token, all.CacheFolder, all.IsOffline, all.Timeout.TotalSeconds));
        Assert.Null(Read(("HF_HOME", folder.Path), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")).Token);
        Assert.EndsWith(Path.Combine(".cache", "huggingface", "hub"), Read().CacheFolder, StringComparison.Ordinal);
        Assert.Equal(HubError.InvalidName, Assert.Throws<HubException>(() => Read(("HF_ENDPOINT", "nowhere"))).Error);
        Assert.DoesNotContain("hush", Assert.Throws<HubException>(() => Read(("HF_ENDPOINT", "ftp://user:hush@hub"))).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
    }

    private static int From(HttpListenerContext context) => From($"x {context.Request.Headers["Range"]}");

    private static int From(string request) => request.IndexOf("bytes=", StringComparison.Ordinal) is >= 0 and var at ? int.Parse(request[(at + 6)..].TrimEnd('-')) : 0;

    private static async Task<HubException> Fails(HubError expected, Func<Task<string>> action)
    {
        var exception = await Assert.ThrowsAsync<HubException>(action);
        Assert.Equal(expected, exception.Error);
        return exception;
    }

    private async Task<string> DownloadModel(HubOptions? other = null)
    {
        using var client = new HubClient(other ?? options);
        return await client.DownloadModelAsync(FakeHub.Model);
    }

    private async Task<string> DownloadFile(string file, HubOptions? other = null)
    {
        using var client = new HubClient(other ?? options);
        return await client.DownloadFileAsync(FakeHub.Model, file);
    }

    private sealed class Immediate(Action<HubProgress> report) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => report(value);
    }
}
