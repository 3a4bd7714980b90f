using System.Text.Json.Nodes;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>SmolLM2-135M loaded once for the tests of a class.</summary>
public sealed class SmolLM2Model : IDisposable
{
    private readonly Lazy<LlamaForCausalLM> model = new(() => LlamaForCausalLM.FromGguf(SmolLM2.Model));

    public LlamaForCausalLM Value => model.Value;

    public void Dispose()
    {
        if (model.IsValueCreated) model.Value.Dispose();
    }
}

/// <summary>A real model against transformers: logits, greedy text, cached decoding.</summary>
public sealed class SmolLM2DecoderTests(SmolLM2Model shared) : IClassFixture<SmolLM2Model>
{
    public static TheoryData<int> Prompts => [0, 1, 2, 3];

    [SkippableTheory, MemberData(nameof(Prompts))]
    public void Logits_are_within_a_ten_thousandth_of_float64(int prompt)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        var logits = shared.Value.forward(reference.Load($"{prompt}.input_ids"))[0].to(float64);

        Assert.InRange(GoldenDecoderTests.Largest(logits.gather(1, reference.Load($"{prompt}.truth.top20_indices")), reference.Load($"{prompt}.truth.top20_values")), 0, 1e-4);
        Assert.InRange(GoldenDecoderTests.Largest(logits[-1], reference.Load($"{prompt}.truth.last_logits")), 0, 1e-4);
        Assert.InRange(GoldenDecoderTests.Largest(logits.logsumexp(-1), reference.Load($"{prompt}.truth.log_sum_exp")), 0, 1e-4);
    }

    [SkippableTheory, MemberData(nameof(Prompts))]
    public void Greedy_text_is_transformers_text_where_the_margin_is_clear(int prompt)
    {
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        var length = (int)reference.GetInfo($"{prompt}.input_ids").Shape[1];
        int[] expected = [.. reference.Load($"{prompt}.greedy").data<long>().Select(id => (int)id)];
        var margins = reference.Load($"{prompt}.greedy_margins").data<double>().ToArray();

        var text = shared.Value.Generate(expected[..length], new GenerationOptions { MaxNewTokens = margins.Length, StopTokens = [] });
        // Behind a close call the texts may differ.
        var clear = Array.FindIndex(margins, margin => margin <= 1e-3) is var close and >= 0 ? close : margins.Length;
        Assert.Equal(expected.Skip(length).Take(clear), text.Take(clear));
    }

    [SkippableFact]
    public void Cached_decoding_equals_the_full_pass()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        var ids = reference.Load("1.greedy").narrow(1, 0, 40);
        var full = shared.Value.forward(ids);
        using var cache = new KeyValueCache(shared.Value.Config.NumHiddenLayers);
        var parts = new List<Tensor> { shared.Value.forward(ids.narrow(1, 0, 24), null, cache) };
        for (var i = 24; i < 40; i++) parts.Add(shared.Value.forward(ids.narrow(1, i, 1), null, cache));

        Assert.InRange(GoldenDecoderTests.Largest(TorchSharp.torch.cat(parts, dim: 1), full), 0, 1e-4);
    }

    [SkippableFact]
    public void Prompts_of_different_lengths_give_the_same_texts_together_as_alone()
    {
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        using var scope = NewDisposeScope();
        int[][] prompts = [.. new[] { 0, 2, 3 }.Select(i => reference.Load($"{i}.input_ids").data<long>().Select(id => (int)id).ToArray())];
        var options = new GenerationOptions { MaxNewTokens = 8, StopTokens = [] };
        var together = shared.Value.Generate(prompts, options);
        for (var row = 0; row < prompts.Length; row++) Assert.Equal(shared.Value.Generate(prompts[row], options), together[row]);
    }
}

/// <summary>The fine-tuning runs of the reference, by their first steps; all forty and the perplexities: benchmarks/SmolLM2, command "runs".</summary>
public sealed class SmolLM2FineTuningTests
{
    private const int Steps = 2;

    public static TheoryData<string, string> Runs()
    {
        var runs = new TheoryData<string, string>();
        if (DataFolders.Models is not null)
        {
            foreach (var run in Reference()["runs"]!.AsArray()) runs.Add((string)run!["name"]!, (string)run["dtype"]!);
        }
        if (runs.Count == 0) runs.Add("(no models)", "");
        return runs;
    }

    [SkippableTheory, MemberData(nameof(Runs))]
    public void First_losses_are_PEFTs(string name, string dtype)
    {
        using var scope = NewDisposeScope();
        DataFolders.RequireModels();
        var run = Reference()["runs"]!.AsArray().Single(run => (string)run!["name"]! == name && (string)run["dtype"]! == dtype)!;
        using var model = LlamaForCausalLM.FromGguf(SmolLM2.Model, dtype == "float32" ? float32 : bfloat16);
        var (batch, length) = ((int)run["batch"]!, (int)run["length"]!);
        var ids = Text().AsSpan(0, Steps * batch * length).ToArray();
        using var adapted = model.AttachAdapters(Config(name));
        if (name.StartsWith("lora")) SetInitialValues(adapted, name);
        Assert.Equal((long)run["trainable_parameters"]!, adapted.CountParameters().Trainable);

        using var optimizer = adapted.CreateOptimizer((double)run["learning_rate"]!);
        for (var step = 0; step < Steps; step++)
        {
            using var inner = NewDisposeScope();
            var window = tensor([.. ids.Skip(step * batch * length).Take(batch * length).Select(id => (long)id)], [batch, length]);
            var loss = model.loss(window, window);
            loss.backward();
            optimizer.step();
            optimizer.zero_grad();
            var expected = (double)run["losses"]![step]!;
            Assert.InRange(Math.Abs(loss.item<float>() - expected) / expected, 0, dtype == "float32" ? 1e-4 : 2e-2);
        }
    }

    [SkippableFact]
    public void The_adapter_that_PEFT_trained_has_PEFTs_perplexity()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = LlamaForCausalLM.FromGguf(SmolLM2.Model);
        using var adapted = model.LoadPretrained(Path.Combine(SmolLM2.Folder, "reference", "miss-r16"));
        var run = Reference()["runs"]!.AsArray().Single(run => (string)run!["name"]! == "miss-r16" && (string)run["dtype"]! == "float32")!;
        const int length = 256;
        double sum = 0;
        // Windows of one length: the mean loss of four is the mean of their losses.
        var batches = Text().Skip((int)run["held_out_start"]!).Take(16 * length).Chunk(4 * length).ToArray();
        foreach (var batch in batches)
        {
            using var inner = NewDisposeScope();
            var ids = tensor([.. batch.Select(id => (long)id)], [4, length]);
            sum += model.loss(ids, ids).item<float>();
        }
        var expected = (double)run["perplexity_after"]!;
        Assert.InRange(Math.Abs(Math.Exp(sum / batches.Length) - expected) / expected, 0, 1e-3);
    }

    private static AdapterConfig Config(string name)
    {
        var size = int.Parse(name[(name.IndexOf("-r") + 2)..]);
        string[] projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        return name.StartsWith("lora")
            ? new LoraConfig { Rank = size, Alpha = 16, TargetModules = [.. projections] }
            : new FossilConfig { ShardSize = size, Variant = name.StartsWith("bat") ? FossilVariant.Bat : FossilVariant.Balance, TargetModules = [.. projections] };
    }

    /// <summary>LoRA starts from a random A: the reference's.</summary>
    private static void SetInitialValues(AdaptedModel adapted, string name)
    {
        using var noGrad = no_grad();
        using var initial = SafetensorsFile.Open(SmolLM2.Reference($"{name}-initial.safetensors"));
        foreach (var (parameterName, parameter) in adapted.TrainableParameters())
        {
            if (parameterName.Contains(".lora_A.")) initial.LoadInto("base_model.model." + parameterName.Replace(".default", ""), parameter);
        }
    }

    private static JsonNode Reference() => JsonNode.Parse(File.ReadAllBytes(Path.Combine(DataFolders.Models!, "SmolLM2-135M-Instruct", "reference", "reference.json")))!;

    private static int[] Text()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "samples", "data", "paradise_lost.txt");
            if (File.Exists(path)) return PretrainedTokenizer.FromGguf(SmolLM2.Model).Encode(File.ReadAllText(path));
        }
        throw new FileNotFoundException("samples/data/paradise_lost.txt");
    }
}
