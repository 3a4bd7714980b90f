using System.Text.Json.Nodes;
using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Tests.Adapters;
using Fossil.Tests.Training;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>A PiSSA adapter on the disk: with what it started from it is the same one wherever it is loaded or trained on.</summary>
public sealed class PissaFolderTests : IDisposable
{
    private const string StartFile = "pissa_init.safetensors";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(null, false)]
    [InlineData(0, false)]
    [InlineData(4, false)]
    [InlineData(4, true)]
    public void Saved_and_loaded_it_gives_the_same_bits(int? iterations, bool useDora)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(24, 40);
        using var other = Copy(model);
        using var adapted = model.AttachAdapters(Config(iterations) with { UseDora = useDora });
        TinyModel.Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        var x = randn(3, 24);
        random.manual_seed(99);
        using var loaded = other.LoadPretrained(folder.Path);
        AssertBits(model.forward(x), other.forward(x));

        // Also beside another adapter, and saved again from there.
        loaded.LoadAdapter(folder.Path, "second", isTrainable: true);
        loaded.SetAdapter("second");
        AssertBits(model.forward(x), other.forward(x));
        loaded.SavePretrained(folder["again"], "second");
        Assert.All([AdapterFile.FileName, AdapterConfig.FileName, StartFile], name => Assert.Equal(File.ReadAllBytes(folder[name]), File.ReadAllBytes(Path.Combine(folder["again"], name))));
    }

    /// <summary>PEFT reads the two files alone, and passes over the third.</summary>
    [Fact]
    public void The_adapters_own_files_are_PEFTs()
    {
        using var model = new OneLinear(24, 40);
        using var adapted = model.AttachAdapters(Config(2));
        adapted.SavePretrained(folder.Path);
        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        Assert.Equal(["base_model.model.proj.lora_A.weight", "base_model.model.proj.lora_B.weight"], file.Names.Order());
        Assert.Contains("\"init_lora_weights\": \"pissa_niter_2\"", File.ReadAllText(folder[AdapterConfig.FileName]));
        using var start = SafetensorsFile.Open(folder[StartFile]);
        Assert.Equal(file.Names.Order(), start.Names.Order());

        adapted.AddAdapter("plain", new LoraConfig { Rank = 2 });
        adapted.SavePretrained(folder["plain"], "plain");
        Assert.False(File.Exists(Path.Combine(folder["plain"], StartFile)));
    }

    /// <summary>A folder of PEFT, or of an earlier version, has no such file.</summary>
    [Fact]
    public void A_folder_without_its_start_loads_as_before()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(24, 40);
        using var other = Copy(model);
        using var adapted = model.AttachAdapters(Config(null));
        TinyModel.Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        File.Delete(folder[StartFile]);
        using var loaded = other.LoadPretrained(folder.Path);
        var x = randn(3, 24);
        Assert.True(Distance.Relative(other.forward(x), model.forward(x)) < 1e-5);
    }

    [Fact]
    public void Where_PEFT_or_a_reader_computes_something_else_the_user_is_told_what_to_do()
    {
        using var model = new OneLinear(24, 40);
        using var other = Copy(model);
        using var adapted = model.AttachAdapters(Config(7));
        string[] Warnings(Action action) => [.. CollectedWarnings.During(action).Where(warning => warning.Contains("pissa_niter_7", StringComparison.Ordinal))];
        var told = Assert.Single(Warnings(() =>
        {
            adapted.SavePretrained(folder.Path);
            adapted.SavePretrained(folder["twice"]);
        }));
        Assert.Contains("SavePissaAsLora", told);
        Assert.Contains("LoadPretrained", told);
        Assert.DoesNotContain(folder.Path, told);

        Assert.Empty(Warnings(() => other.LoadPretrained(folder.Path).Dispose()));
        File.Delete(folder[StartFile]);
        Assert.Contains(folder.Path, Assert.Single(Warnings(() => other.LoadPretrained(folder.Path).Dispose())));
    }

    [Theory]
    [InlineData("lora_A.weight", 3, 24)]
    [InlineData("lora_B.weight", 40, 4)]
    [InlineData("lora_C.weight", 40, 8)]
    public void A_start_that_does_not_fit_is_refused_and_nothing_is_attached(string name, int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(24, 40);
        using var adapted = model.AttachAdapters(Config(2));
        adapted.SavePretrained(folder.Path);
        var tensors = new Dictionary<string, Tensor> { ["lora_A.weight"] = zeros(8, 24), ["lora_B.weight"] = zeros(40, 8) };
        if (!tensors.ContainsKey(name)) tensors.Remove("lora_B.weight");
        tensors[name] = zeros(rows, columns);
        SafetensorsWriter.Save(folder[StartFile], tensors.Select(entry => ($"base_model.model.proj.{entry.Key}", entry.Value)));
        Assert.Contains(StartFile, Assert.Throws<AdapterFileException>(() => adapted.LoadAdapter(folder.Path, "other")).Path);
        Assert.Equal(["default"], adapted.AdapterNames);
        Assert.DoesNotContain(model.named_parameters(), entry => entry.name.Contains("other", StringComparison.Ordinal));
        Assert.DoesNotContain(model.named_buffers(), entry => entry.name.Contains("other", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(2)]
    public void A_resumed_run_goes_on_in_the_same_bits(int? iterations)
    {
        var whole = Train("whole", 12, seed: 1);
        Train("parts", 5, seed: 2);
        var parts = Train("parts", 12, seed: 3);
        Assert.Equal(whole.Losses, parts.Losses);
        Assert.Equal(whole.Values, parts.Values);

        (double[] Losses, float[] Values) Train(string name, int steps, int seed)
        {
            using var model = new TinyLanguageModel();
            manual_seed(seed);
            using var adapted = model.AttachAdapters(Config(iterations) with { Dropout = 0.1 });

            // A start of its own, as in a process with other threads.
            if (seed == 3) Disturb(adapted);
            var arguments = new TrainingArguments { OutputDirectory = folder[name], MaxSteps = steps, BatchSize = 4, LearningRate = 0.02, LoggingSteps = 1, LearningRateScheduler = LearningRateSchedulerType.Constant };
            var result = new Trainer<TokenBatch>(adapted, model.Loss, arguments, TinyLanguageModel.Data()).Train(resume: true);
            return ([.. result.State.Logs.Select(log => log.Loss)], [.. adapted.TrainableParameters().SelectMany(named => named.Parameter.data<float>().ToArray())]);
        }
    }

    /// <summary>A checkpoint of an earlier version has no start: that of the decomposition at hand takes its place, as it did.</summary>
    [Fact]
    public void An_earlier_versions_checkpoint_is_resumed_as_before()
    {
        var whole = Train(folder["whole"], 12);
        Train(folder["parts"], 5);
        var checkpoint = Path.Combine(folder["parts"], "checkpoint-5");
        File.Delete(Path.Combine(checkpoint, StartFile));
        var state = Path.Combine(checkpoint, "trainer_state.json");
        var json = JsonNode.Parse(File.ReadAllText(state))!;
        Assert.True(json["files"]!.AsObject().Remove(StartFile));
        Assert.True(json.AsObject().Remove("sha256"));
        File.WriteAllText(state, json.ToJsonString());
        Assert.All(whole.Zip(Train(folder["parts"], 12)), pair => Assert.Equal(pair.First, pair.Second, 1e-4));

        double[] Train(string path, int steps)
        {
            using var model = new TinyLanguageModel();
            using var adapted = model.AttachAdapters(Config(null));
            var arguments = new TrainingArguments { OutputDirectory = path, MaxSteps = steps, BatchSize = 4, LearningRate = 0.02, LoggingSteps = 1, LearningRateScheduler = LearningRateSchedulerType.Constant };
            return [.. new Trainer<TokenBatch>(adapted, model.Loss, arguments, TinyLanguageModel.Data()).Train(resume: true).State.Logs.Select(log => log.Loss)];
        }
    }

    /// <summary>What <see cref="TrainableModule"/> or the user's own files keep of a model is its parameters: the start follows from the weights.</summary>
    [Fact]
    public void A_randomised_start_is_the_same_in_every_process()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(24, 40);
        random.manual_seed(1);
        using var adapted = model.AttachAdapters(Config(1), "first");
        random.manual_seed(2);
        adapted.AddAdapter("second", Config(1));
        var layers = adapted.Targets[0].Layers;
        Assert.All(layers[0].Parameters().Zip(layers[1].Parameters()), pair => AssertBits(pair.First.Parameter, pair.Second.Parameter));
    }

    private static LoraConfig Config(int? iterations) =>
        new() { Rank = 8, Alpha = 16, InitLoraWeights = iterations is { } count ? LoraInitialization.PissaWithIterations(count) : LoraInitialization.Pissa };

    private static OneLinear Copy(OneLinear model)
    {
        using var noGrad = no_grad();
        var copy = new OneLinear(model.proj.weight.shape[1], model.proj.weight.shape[0]);
        copy.proj.weight.copy_(model.proj.weight);
        copy.proj.bias!.copy_(model.proj.bias!);
        return copy;
    }

    private static void Disturb(AdaptedModel adapted)
    {
        using var noGrad = no_grad();
        foreach (var (_, buffer) in adapted.Model.named_buffers()) buffer.mul_(1.01);
        foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.mul_(1.01);
    }

    private static void AssertBits(Tensor expected, Tensor actual) => Assert.True(expected.equal(actual).all().item<bool>(), $"They differ by {Distance.Relative(actual, expected):E2}.");
}
