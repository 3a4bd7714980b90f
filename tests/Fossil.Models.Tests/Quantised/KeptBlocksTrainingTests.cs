using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.Models.Tests.Training;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Training over blocks: activations computed again, runs that are resumed, batches of several adapters, and files that change meanwhile.</summary>
public sealed class KeptBlocksTrainingTests : IDisposable
{
    private static readonly LlamaConfig Config = TinyModels.Config with { HiddenSize = 256, IntermediateSize = 256, HeadDim = 64 };

    private static readonly TokenData Data = TokenData.FromExamples(
        Enumerable.Range(0, 12).Select(i => new TokenExample([.. Enumerable.Range(0, 9 + i).Select(j => 3 + (((i * 31) + (j * 17)) % 90))])), maxLength: 32, paddingId: 0, "examples");

    private readonly TemporaryFolder folder = new();

    public static TheoryData<GgufTensorType, ScalarType, AdapterConfig> Cases => new()
    {
        { GgufTensorType.Q8_0, ScalarType.Float32, new FossilConfig { ShardSize = 16, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.Q4_1, ScalarType.BFloat16, new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.Q4_K, ScalarType.BFloat16, new FossilConfig { ShardSize = 16, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.Q6_K, ScalarType.Float32, new LoraConfig { Rank = 4, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.IQ4_XS, ScalarType.BFloat16, new LoraConfig { Rank = 4, UseDora = true, TargetModules = ModuleSelector.AllLinear } },
    };

    /// <summary>Without those that change the weight, which all rows have in common.</summary>
    public static TheoryData<GgufTensorType, ScalarType, AdapterConfig> MixedCases => new()
    {
        { GgufTensorType.Q8_0, ScalarType.Float32, new FossilConfig { ShardSize = 16, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.Q4_K, ScalarType.BFloat16, new FossilConfig { ShardSize = 16, TargetModules = ModuleSelector.AllLinear } },
        { GgufTensorType.Q6_K, ScalarType.Float32, new LoraConfig { Rank = 4, TargetModules = ModuleSelector.AllLinear } },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Recomputed_activations_give_the_same_gradients(GgufTensorType type, ScalarType dtype, AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        using var model = Load(type, dtype);
        random.manual_seed(4);
        using var adapted = model.AttachAdapters(config);
        Disturb(adapted);
        DecoderTrainingTests.AssertRecomputingChangesNoGradient(model, adapted, adapted.TrainableParameters().Count);
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_run_that_was_resumed_over_the_file_ends_bit_for_bit_as_one_that_was_not(GgufTensorType type, ScalarType dtype, AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        const int half = 3, all = 6;
        var whole = Train(folder["whole"], all, []);
        Assert.Equal(TrainingOutcome.Cancelled, Train(folder["halves"], all, [new StopAfter(half)]).Result.Outcome);
        var resumed = Train(folder["halves"], all, [], resume: true);

        Assert.Equal(TrainingOutcome.Completed, resumed.Result.Outcome);
        Assert.Equal(whole.Result.State.Logs.Select(log => log.Loss), resumed.Result.State.Logs.Select(log => log.Loss));
        Assert.All(whole.Parameters.Zip(resumed.Parameters), pair => Assert.True(pair.First.Value.equal(pair.Second.Value).all().item<bool>(), pair.First.Name));

        (TrainingResult Result, (string Name, Tensor Value)[] Parameters) Train(string output, int steps, TrainerCallback[] callbacks, bool resume = false)
        {
            using var model = Load(type, dtype);
            random.manual_seed(4);
            using var adapted = model.AttachAdapters(config);
            var arguments = new TrainingArguments { OutputDirectory = output, MaxSteps = steps, BatchSize = 2, LearningRate = 1e-2, LoggingSteps = 1, GradientCheckpointing = true };
            var result = new Trainer<TokenBatch>(adapted, model.loss, arguments, Data, callbacks: callbacks).Train(resume);
            return (result, [.. adapted.TrainableParameters().Select(named => (named.Name, named.Parameter.detach().clone()))]);
        }
    }

    [Theory, MemberData(nameof(MixedCases))]
    public void Rows_with_adapters_of_their_own_are_what_each_is_alone(GgufTensorType type, ScalarType dtype, AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Load(type, dtype);
        random.manual_seed(4);
        using var adapted = model.AttachAdapters(config, "first");
        adapted.AddAdapter("second", config with { TargetModules = ["q_proj", "down_proj"] });
        Disturb(adapted);
        adapted.SetAdapter("second");
        Disturb(adapted);
        var tokens = TinyModels.Tokens(3, 11);
        Tensor mixed;
        using (adapted.UseAdapters(["second", null, "first"])) mixed = model.forward(tokens);
        AssertRow(0, () => adapted.SetAdapter("second"));
        using (adapted.DisableAdapters()) AssertRow(1, () => { });
        AssertRow(2, () => adapted.SetAdapter("first"));

        void AssertRow(int row, Action choose)
        {
            choose();
            var difference = (model.forward(tokens)[row] - mixed[row]).abs().max().to(ScalarType.Float32).item<float>() / mixed[row].abs().max().to(ScalarType.Float32).item<float>();
            Assert.InRange(difference, 0, dtype == ScalarType.Float32 ? 1e-5 : 2e-2);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_file_that_changes_in_a_run_is_noticed_within_a_hundred_steps_before_anything_is_written(bool isCut)
    {
        using var scope = NewDisposeScope();
        using var model = Load(GgufTensorType.Q8_0, ScalarType.Float32);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 16, TargetModules = ["v_proj"] });
        var change = new ChangeAfter(30, () =>
        {
            // By a byte of the last page, which stays mapped: reading beyond the last page ends the process.
            if (isCut) Cut(new FileInfo(folder["model.gguf"]).Length - 1);
            else File.SetLastWriteTimeUtc(folder["model.gguf"], DateTime.UtcNow.AddHours(-1));
        });
        var arguments = new TrainingArguments { OutputDirectory = folder["run"], MaxSteps = 150, BatchSize = 1, LearningRate = 1e-3 };
        var exception = Assert.Throws<MappedFileException>(() => new Trainer<TokenBatch>(adapted, model.loss, arguments, Data, callbacks: [change]).Train());
        Assert.Equal(folder["model.gguf"], exception.Path);
        Assert.Contains("mapped: false", exception.Message, StringComparison.Ordinal);
        Assert.InRange(change.Steps, 30, 100);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder["run"], "checkpoint-*"));
    }

    [Fact]
    public void A_file_that_changed_after_it_was_opened_is_not_loaded()
    {
        Write(GgufTensorType.Q8_0);
        using var file = GgufFile.Open(folder["model.gguf"]);
        Cut(4096);
        Assert.Equal(folder["model.gguf"], Assert.Throws<MappedFileException>(() => LlamaForCausalLM.FromGguf(file, keepQuantized: true)).Path);
    }

    public void Dispose() => folder.Dispose();

    private void Write(GgufTensorType type) => RandomBlocks.Write(folder["model.gguf"], Config, type);

    private void Cut(long length)
    {
        using var file = File.OpenHandle(folder["model.gguf"], access: FileAccess.Write, share: FileShare.ReadWrite);
        RandomAccess.SetLength(file, length);
    }

    private LlamaForCausalLM Load(GgufTensorType type, ScalarType dtype)
    {
        if (!File.Exists(folder["model.gguf"])) Write(type);
        return LlamaForCausalLM.FromGguf(folder["model.gguf"], dtype, keepQuantized: true);
    }

    private static void Disturb(AdaptedModel adapted)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(3, CPU);
        foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.add_(empty_like(parameter).normal_(0, 0.02, generator));
    }

    private sealed class StopAfter(int step) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state) => state.GlobalStep < step;
    }

    private sealed class ChangeAfter(int step, Action change) : TrainerCallback
    {
        public int Steps { get; private set; }

        public override bool OnStepEnd(TrainerState state)
        {
            Steps = state.GlobalStep;
            if (Steps == step) change();
            return true;
        }
    }
}
