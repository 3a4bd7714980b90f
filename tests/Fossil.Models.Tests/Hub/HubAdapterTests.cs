using Fossil.Models.Hub;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Hub;

/// <summary>Adapters by their ids.</summary>
public sealed class HubAdapterTests : IDisposable
{
    private readonly FakeHub hub = new();
    private readonly TemporaryFolder folder = new();
    private readonly HubOptions options;

    public HubAdapterTests()
    {
        options = new HubOptions { Endpoint = hub.Address, CacheFolder = folder["hub"], RetryDelay = TimeSpan.FromMilliseconds(1), Retries = 1, Timeout = TimeSpan.FromSeconds(20) };
        hub.Files.Clear();
    }

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("poems/final")]
    public async Task An_adapter_loads_by_its_id_and_again_without_the_hub(string? subfolder)
    {
        using var model = TinyModels.Create();
        using var ids = TinyModels.Tokens(1, 5);
        using var expected = Put(model, ids, subfolder, new FossilConfig { ShardSize = 8 });
        using (var adapted = await model.LoadPretrainedFromHubAsync(FakeHub.Model, subfolder: subfolder, options: options))
        {
            AssertSame(expected, model, ids);
            Assert.Empty(adapted.TrainableParameters());
        }

        var requests = hub.Requests.Count;
        using (var adapted = await model.LoadPretrainedFromHubAsync(FakeHub.Model, "first", isTrainable: true, subfolder: subfolder, options: options with { IsOffline = true }))
        {
            Assert.NotEmpty(adapted.TrainableParameters());
            await adapted.LoadAdapterFromHubAsync(FakeHub.Model, "second", revision: FakeHub.Commit, subfolder: subfolder, options: options with { IsOffline = true });
            adapted.SetAdapter("second");
            AssertSame(expected, model, ids);
        }

        Assert.Equal(requests, hub.Requests.Count);
        Assert.DoesNotContain(hub.Requests, request => request.Contains("README.md", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_a_method_keeps_beside_the_weights_comes_along()
    {
        using var model = TinyModels.Create();
        using var ids = TinyModels.Tokens(1, 5);
        using var expected = Put(model, ids, null, new LoraConfig { Rank = 4, TargetModules = ["q_proj"], InitLoraWeights = LoraInitialization.Pissa });
        Assert.Contains("pissa_init.safetensors", hub.Files.Keys);
        using var adapted = await model.LoadPretrainedFromHubAsync(FakeHub.Model, options: options);
        AssertSame(expected, model, ids);
        Assert.Equal(1, hub.CountOf("hub HEAD /owner/model/resolve/" + FakeHub.Commit + "/pissa_init.safetensors"));
    }

    [Theory]
    [InlineData("adapter_model.bin", "pickle")]
    [InlineData("other/adapter_config.json", "subfolder): other")]
    [InlineData("config.json", "It is a model")]
    [InlineData("README.md", "no adapter_config.json")]
    public async Task A_repository_without_an_adapter_says_what_it_has(string file, string message)
    {
        hub.Files[file] = "{}"u8.ToArray();
        if (file.EndsWith(".bin", StringComparison.Ordinal)) hub.Files["adapter_config.json"] = "{}"u8.ToArray();
        using var model = TinyModels.Create();
        var exception = await Assert.ThrowsAsync<HubException>(() => model.LoadPretrainedFromHubAsync(FakeHub.Model, options: options));
        Assert.Equal(HubError.FileNotFound, exception.Error);
        Assert.Contains(message, exception.Message);
    }

    [Fact]
    public async Task An_adapter_is_no_model_and_ids_lead_nowhere_else()
    {
        hub.Files["adapter_config.json"] = "{}"u8.ToArray();
        var exception = await Assert.ThrowsAsync<HubException>(() => AutoModelForCausalLM.FromHubAsync(FakeHub.Model, options: options));
        Assert.Contains("LoadPretrainedFromHubAsync(\"owner/model\")", exception.Message);
        using var model = TinyModels.Create();
        foreach (var subfolder in (string[])["../x", "a//b", "/etc"])
            Assert.Equal(HubError.InvalidName, (await Assert.ThrowsAsync<HubException>(() => model.LoadPretrainedFromHubAsync(FakeHub.Model, subfolder: subfolder, options: options))).Error);
        Assert.Equal(HubError.Offline, (await Assert.ThrowsAsync<HubException>(() => model.LoadPretrainedFromHubAsync("owner/other", options: options with { IsOffline = true }))).Error);
    }

    private Tensor Put(LlamaForCausalLM model, Tensor ids, string? subfolder, AdapterConfig config)
    {
        using var adapted = model.AttachAdapters(config);
        using (no_grad())
        {
            using var generator = new Generator(3, CPU);
            foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.normal_(0, 0.05, generator);
        }

        adapted.SavePretrained(folder["adapter"]);
        foreach (var path in Directory.GetFiles(folder["adapter"])) hub.Files[subfolder is null ? Path.GetFileName(path) : $"{subfolder}/{Path.GetFileName(path)}"] = File.ReadAllBytes(path);
        hub.Files["README.md"] = "# adapter"u8.ToArray();
        return model.forward(ids).detach();
    }

    private static void AssertSame(Tensor expected, LlamaForCausalLM model, Tensor ids)
    {
        using var scope = NewDisposeScope();
        Assert.True(expected.equal(model.forward(ids)).all().item<bool>());
    }
}
