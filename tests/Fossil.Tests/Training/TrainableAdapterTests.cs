using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

public sealed class TrainableAdapterTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fossil-adapter-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void OnlyTheAdapterIsTrainedAndACheckpointIsAnAdapterFolder()
    {
        using var model = new TinyLanguageModel();
        var before = model.Values();
        using var adapted = model.AttachAdapters();
        var result = new Trainer<TokenBatch>(adapted, model.Loss, Arguments, TinyLanguageModel.Data()).Train();
        Assert.True(result.State.Logs[^1].Loss < result.State.Logs[0].Loss);

        using var input = arange(0, 12).reshape(2, 6);
        model.eval();
        using var trained = model.forward(input);
        adapted.Dispose();
        Assert.Equal(before, model.Values());

        using var other = new TinyLanguageModel();
        using var loaded = other.LoadPretrained(result.LastCheckpoint!);
        other.eval();
        using var again = other.forward(input);
        Assert.Equal(trained.data<float>().ToArray(), again.data<float>().ToArray());
    }

    [Fact]
    public void AdaptersWithSeveralSettingsAreResumedToo()
    {
        var whole = Train("whole", 20);
        Train("parts", 9);
        var parts = Train("parts", 20);
        Assert.Equal(whole, parts);
        Assert.Contains(whole, value => value != 0);

        float[] Train(string name, int steps)
        {
            using var model = new TwoSettings();
            using var adapted = model.AttachAdapters();
            var arguments = Arguments with { OutputDirectory = Path.Combine(folder.FullName, name), MaxSteps = steps };
            new Trainer<TokenBatch>(adapted, model.Loss, arguments, TinyLanguageModel.Data()).Train(resume: true);
            return [.. adapted.TrainableParameters().SelectMany(named => named.Parameter.data<float>().ToArray())];
        }
    }

    public static TheoryData<AdapterConfig> OtherMethods() =>
    [
        new LoraConfig { Rank = 4, Dropout = 0.1, TargetModules = ["up", "head"] },
        new VeraConfig { Rank = 8, Dropout = 0.1, TargetModules = ["up", "head"] },
        new VeraConfig { Rank = 8, SaveProjection = false, ProjectionPrngKey = 3, TargetModules = ["up", "head"] },
        new IA3Config { TargetModules = ["up", "head"], FeedforwardModules = ["head"] },
    ];

    [Theory]
    [MemberData(nameof(OtherMethods))]
    public void AResumedRunOfAnyMethodEndsInTheSameBits(AdapterConfig config)
    {
        var whole = Train("whole", 14);
        Train("parts", 6);
        Assert.Equal(whole, Train("parts", 14));

        float[] Train(string name, int steps)
        {
            using var model = new TinyLanguageModel();
            manual_seed(4);
            using var adapted = model.AttachAdapters(config);
            var before = Values(adapted);
            new Trainer<TokenBatch>(adapted, model.Loss, Arguments with { OutputDirectory = Path.Combine(folder.FullName, name), MaxSteps = steps }, TinyLanguageModel.Data()).Train(resume: true);
            Assert.NotEqual(before, Values(adapted));
            return Values(adapted);
        }

        static float[] Values(AdaptedModel adapted) => [.. adapted.TrainableParameters().SelectMany(named => named.Parameter.data<float>().ToArray())];
    }

    [Fact]
    public void ACheckpointThatDoesNotFitLeavesTheModelAsItIs()
    {
        using (var model = new TinyLanguageModel())
        using (var adapted = model.AttachAdapters())
            new Trainer<TokenBatch>(adapted, model.Loss, Arguments with { MaxSteps = 3 }, TinyLanguageModel.Data()).Train();

        // The adapter would fit; the optimizer's state lacks that of the second one.
        using var other = new TinyLanguageModel();
        using var two = other.AttachAdapters();
        two.AddAdapter("second", new FossilConfig { ShardSize = 8 });
        two.SetAdapter("default", "second");
        var before = other.Values();
        Assert.Throws<CheckpointReadException>(() => new Trainer<TokenBatch>(two, other.Loss, Arguments, TinyLanguageModel.Data()).Train(resume: true));
        Assert.Equal(before, other.Values());
    }

    private TrainingArguments Arguments => new()
    {
        OutputDirectory = folder.FullName,
        MaxSteps = 40,
        BatchSize = 4,
        LearningRate = 0.02,
        LearningRateScheduler = LearningRateSchedulerType.Constant,
    };
}

/// <summary>Two attributes with different shard sizes, which one adapter_config.json cannot say.</summary>
[FossilAdapt("up", ShardSize = 8)]
[FossilAdapt("head", ShardSize = 4)]
public sealed partial class TwoSettings : nn.Module<Tensor, Tensor>
{
    private readonly Embedding embedding = nn.Embedding(TinyLanguageModel.Vocabulary, 16);
    private readonly Linear up = nn.Linear(16, 20);
    private readonly Linear head = nn.Linear(20, TinyLanguageModel.Vocabulary);

    public TwoSettings()
        : base(nameof(TwoSettings))
    {
        RegisterComponents();
        using var withoutGradient = no_grad();
        manual_seed(2);
        foreach (var parameter in parameters()) nn.init.normal_(parameter, 0, 0.3);
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return head.forward(nn.functional.relu(up.forward(embedding.forward(input)))).MoveToOuterDisposeScope();
    }

    public Tensor Loss(TokenBatch batch) => batch.Loss(forward(batch.InputIds));
}
