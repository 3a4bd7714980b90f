using System.Text.Json;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Export;

/// <summary>The golden checkpoints written and read again, in every form.</summary>
public sealed class GoldenExportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Models() => ["llama", "llama-tied-rope-llama3", "mistral", "qwen2", "qwen3"];

    public static TheoryData<string, string> Adapters()
    {
        var names = new TheoryData<string, string>();
        foreach (var model in new[] { "llama", "qwen2" }) names.Add(model, "miss");
        foreach (var adapter in new[] { "miss-mini", "miss-padded", "miss-layer-1", "legacy-bone", "lora", "rslora", "lora-rank-pattern" }) names.Add("llama", adapter);
        return names;
    }

    [SkippableTheory]
    [MemberData(nameof(Models))]
    public void Several_files_with_an_index_hold_the_model(string name)
    {
        using var model = Load(name);
        model.SavePretrained(folder.Path, maxShardBytes: 100_000);
        var files = Directory.EnumerateFiles(folder.Path, "*.safetensors").Select(Path.GetFileName).Order(StringComparer.Ordinal).ToArray();
        Assert.True(files.Length > 2);
        Assert.Equal($"model-00001-of-{files.Length:D5}.safetensors", files[0]);
        using var index = JsonDocument.Parse(File.ReadAllBytes(folder["model.safetensors.index.json"]));
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel() * 4), index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        AssertSame(model, LlamaForCausalLM.FromPretrained(folder.Path));

        model.SavePretrained(folder.Path);
        Assert.Equal(["config.json", "model.safetensors"], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        AssertSame(model, LlamaForCausalLM.FromPretrained(folder.Path));
    }

    [SkippableTheory]
    [MemberData(nameof(Models))]
    public void A_gguf_file_holds_the_model(string name)
    {
        using var model = Load(name);
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using var loaded = LlamaForCausalLM.FromGguf(folder["model.gguf"]);
        AssertSame(model, loaded, dispose: false);

        // What GGUF has no key for does not matter for the model's function.
        var (expected, actual) = (model.Config, loaded.Config with { InitializerRange = model.Config.InitializerRange, SlidingLayers = model.Config.SlidingLayers });
        Assert.Equivalent(expected, actual);
    }

    [SkippableTheory]
    [InlineData(GgufTensorType.F16)]
    [InlineData(GgufTensorType.BF16)]
    [InlineData(GgufTensorType.Q8_0)]
    public void Matrices_are_rounded_as_the_type_says(GgufTensorType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Load("llama");
        model.SaveGguf(folder["model.gguf"], type);
        using var loaded = LlamaForCausalLM.FromGguf(folder["model.gguf"]);
        foreach (var ((name, exact), (_, actual)) in model.named_parameters().Zip(loaded.named_parameters()))
        {
            if (exact.dim() == 1) Assert.True(exact.equal(actual).all().item<bool>(), name);
            else if (type != GgufTensorType.Q8_0) Assert.True(exact.to(type == GgufTensorType.F16 ? ScalarType.Float16 : ScalarType.BFloat16).to(ScalarType.Float32).equal(actual).all().item<bool>(), name);
            else
            {
                // Half a step of the block's scale, and the scale's own rounding to half precision.
                var largest = exact.view(-1, 32).abs().amax(dims: [1], keepdim: true);
                Assert.True((exact.view(-1, 32) - actual.view(-1, 32)).abs().le(largest * (0.5 / 127 + 1.0 / 2048)).all().item<bool>(), name);
            }
        }
    }

    [SkippableFact]
    public void A_weight_beyond_half_precision_is_a_named_error()
    {
        using var model = Load("llama");
        using (no_grad()) model.named_parameters().First(p => p.name.EndsWith("q_proj.weight", StringComparison.Ordinal)).parameter[0, 0].fill_(1e6);
        Assert.Contains("BF16", Assert.Throws<ExportException>(() => model.SaveGguf(folder["model.gguf"], GgufTensorType.F16)).Message, StringComparison.Ordinal);
        model.SaveGguf(folder["model.gguf"], GgufTensorType.BF16);
    }

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void An_adapter_as_gguf_lora_changes_the_weights_as_merging_does(string name, string adapter)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Load(name);
        using var adapted = model.LoadPretrained(Path.Combine(Folder(name), "adapters", adapter));
        adapted.SaveGgufLora(folder["adapter.lora.gguf"]);
        var before = adapted.Targets.ToDictionary(target => target.Path, target => target.Weight.detach().clone());
        adapted.Merge();
        using var file = GgufFile.Open(folder["adapter.lora.gguf"]);
        var alpha = file.Metadata.FindNumber("adapter.lora.alpha")!.Value;
        var count = 0;
        foreach (var target in adapted.Targets)
        {
            var gguf = GgufNames.Decoder.ToGguf(target.Path + ".weight")!;
            if (!file.Contains(gguf + ".lora_a"))
            {
                Assert.True(target.Weight.equal(before[target.Path]).all().item<bool>());
                continue;
            }

            count++;
            var a = file.Load(gguf + ".lora_a");
            var b = empty([.. file.GetInfo(gguf + ".lora_b").Shape]);
            file.LoadInto(gguf + ".lora_b", b, model.Config.InterleavedHeads(target.Path + ".weight"));
            var change = b.mm(a) * (alpha == 0 ? 1 : alpha / a.shape[0]);
            Assert.InRange(Distance.Relative(before[target.Path] + change, target.Weight), 0, 1e-6);
        }

        Assert.Equal(file.Tensors.Count, 2 * count);
        Assert.True(count > 0);
    }

    [SkippableFact]
    public void A_merged_model_is_written_and_the_model_stays_as_it_is()
    {
        using var model = Load("llama");
        using var plain = Load("llama");
        using var adapted = model.LoadPretrained(Path.Combine(Folder("llama"), "adapters", "miss"));
        adapted.SaveMergedPretrained(folder["hf"]);
        adapted.SaveMergedGguf(folder["merged.gguf"], GgufTensorType.F32);
        Assert.Empty(adapted.MergedAdapters);
        using var tokens = tensor(new long[] { 5, 7, 11, 200 }, [1, 4]);
        using var noGrad = no_grad();
        using var expected = model.forward(tokens);
        using var scope = NewDisposeScope();
        using var folderModel = LlamaForCausalLM.FromPretrained(folder["hf"]);
        using var ggufModel = LlamaForCausalLM.FromGguf(folder["merged.gguf"]);
        Assert.InRange(Distance.Relative(folderModel.forward(tokens), expected), 0, 1e-5);
        Assert.InRange(Distance.Relative(ggufModel.forward(tokens), expected), 0, 1e-5);
        using (adapted.DisableAdapters()) Assert.True(model.forward(tokens).equal(plain.forward(tokens)).all().item<bool>());
    }

    public void Dispose() => folder.Dispose();

    private static string Folder(string name) => Path.Combine(DataFolders.RequireGolden(), "models", name);

    private static LlamaForCausalLM Load(string name) => LlamaForCausalLM.FromPretrained(Folder(name));

    private static void AssertSame(LlamaForCausalLM expected, LlamaForCausalLM actual, bool dispose = true)
    {
        foreach (var ((name, left), (otherName, right)) in expected.named_parameters().Zip(actual.named_parameters()))
        {
            Assert.Equal(name, otherName);
            Assert.True(left.equal(right).all().item<bool>(), name);
        }

        if (dispose) actual.Dispose();
    }
}
