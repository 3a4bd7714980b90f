using Fossil.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

public sealed class TrainerTests : IDisposable
{
    private static readonly TrainingArguments Arguments = new()
    {
        LearningRate = 0.01,
        LearningRateScheduler = LearningRateSchedulerType.Constant,
        MaxSteps = 12,
        BatchSize = 4,
        LoggingSteps = 1,
    };

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fossil-trainer-");
    private readonly TokenData data = TinyLanguageModel.Data();

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void TheLossFallsAndIsReported()
    {
        using var model = new TinyLanguageModel();
        var result = Train(model, Arguments with { MaxSteps = 150, LoggingSteps = 25, LearningRateScheduler = LearningRateSchedulerType.Cosine, WarmupSteps = 10 });
        Assert.Equal(TrainingOutcome.Completed, result.Outcome);
        Assert.Equal([25, 50, 75, 100, 125, 150], result.State.Logs.Select(log => log.Step));
        Assert.True(result.State.Logs[^1].Loss < 0.75 * result.State.Logs[0].Loss, string.Join(" ", result.State.Logs.Select(log => log.Loss)));
        Assert.All(result.State.Logs, log => Assert.True(log is { TokensPerSecond: > 0, MemoryBytes: > 0, SecondsLeft: >= 0, GradientNorm: > 0 }));
        Assert.Equal((2 * data.Count + 24 * 4) * 16, result.State.TokensSeen); // 63 steps an epoch, the last of them with two windows
        Assert.Null(result.LastCheckpoint);
    }

    [Fact]
    public void AccumulatedBatchesAreOneLargeBatch()
    {
        var uneven = TokenData.FromExamples(
            Enumerable.Range(0, 60).Select(i => new TokenExample(Enumerable.Range(i, 2 + i % 7).Select(id => id % TinyLanguageModel.Vocabulary).ToArray())), 16, 0, "uneven");
        var weights = new[] { (12, 1), (3, 4) }.Select(split =>
        {
            using var model = new TinyLanguageModel();
            model.eval();
            var trainer = new Trainer<TokenBatch>(
                new TrainableModule(model), batch => WithoutDropout(model, batch), Arguments with { BatchSize = split.Item1, GradientAccumulationSteps = split.Item2 }, uneven);
            trainer.Train();
            return model.Values();
        }).ToList();
        Assert.All(weights[0].Zip(weights[1]), pair => Assert.Equal(pair.First, pair.Second, 2e-4f));
    }

    [Fact]
    public void WithoutMaxStepsTheEpochsCount()
    {
        using var model = new TinyLanguageModel();
        var result = Train(model, Arguments with { MaxSteps = null, Epochs = 0.5, BatchSize = 10, GradientAccumulationSteps = 2 });
        Assert.Equal((int)Math.Ceiling(0.5 * Math.Ceiling(Math.Ceiling(data.Count / 10.0) / 2)), result.State.GlobalStep);
    }

    [Fact]
    public void WeightDecayLeavesBiasesAlone()
    {
        using var model = new TinyLanguageModel();
        using var other = new TinyLanguageModel();
        Train(model, Arguments with { MaxSteps = 1 });
        Train(other, Arguments with { MaxSteps = 1, WeightDecay = 10 });
        foreach (var (name, parameter) in model.named_parameters())
        {
            Assert.Equal(name.EndsWith("bias", StringComparison.Ordinal), parameter.equal(other.get_parameter(name)!).all().ToBoolean());
        }
    }

    [Fact]
    public void ANonFiniteLossStopsAtItsStepAndLeavesTheParametersAlone()
    {
        using var model = new TinyLanguageModel();
        var calls = 0;
        var trainer = new Trainer<TokenBatch>(
            new TrainableModule(model),
            batch => ++calls == 6 ? model.Loss(batch) * double.NaN : model.Loss(batch),
            Arguments with { OutputDirectory = folder.FullName, SaveSteps = 2 },
            data);
        var exception = Assert.Throws<NonFiniteLossException>(() => trainer.Train());
        Assert.Equal(6, exception.Step);
        Assert.EndsWith("checkpoint-4", exception.LastCheckpoint);
        Assert.All(model.Values(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void ANonFiniteLossCanBeSkipped()
    {
        using var model = new TinyLanguageModel();
        var calls = 0;
        var trainer = new Trainer<TokenBatch>(
            new TrainableModule(model),
            batch => ++calls is 3 or 5 ? model.Loss(batch) / 0 : model.Loss(batch),
            Arguments with { OnNonFiniteLoss = NonFiniteLossAction.Skip, OutputDirectory = folder.FullName },
            data,
            callbacks: [new JsonLinesLog(Path.Combine(folder.FullName, "log.jsonl"))]);
        var result = trainer.Train();
        Assert.Equal(2, result.State.SkippedSteps);
        Assert.Equal(12, result.State.GlobalStep);
        Assert.All(model.Values(), value => Assert.True(float.IsFinite(value)));
        Assert.Equal(2, File.ReadLines(Path.Combine(folder.FullName, "log.jsonl")).Count(line => line.Contains("\"loss\":\"NaN\"")));
    }

    [Fact]
    public void EvaluationIsWithoutDropoutAndOverAllItems()
    {
        using var model = new TinyLanguageModel();
        var evaluation = TinyLanguageModel.Data(tokens: 200, seed: 6);
        var trainer = new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, Arguments with { EvalBatchSize = 5 }, data, evaluation);
        using var all = evaluation.GetBatch(Enumerable.Range(0, evaluation.Count).ToArray());
        using var expected = WithoutDropout(model, all);
        Assert.Equal(expected.ToDouble(), trainer.Evaluate(), 5);
        Assert.True(model.training);
    }

    [Fact]
    public void TrainingEndsEarlyAndGoesBackToTheBest()
    {
        using var model = new TinyLanguageModel();
        var evaluation = TinyLanguageModel.Data(tokens: 200, seed: 6);
        var arguments = Arguments with
        {
            MaxSteps = 1000,
            LearningRate = 0.05,
            EvalSteps = 5,
            EarlyStoppingPatience = 3,
            LoadBestModelAtEnd = true,
            OutputDirectory = folder.FullName,
            SaveTotalLimit = 1,
        };
        var trainer = new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, arguments, data, evaluation);
        var result = trainer.Train();
        Assert.Equal(TrainingOutcome.EarlyStopped, result.Outcome);
        Assert.Equal(result.State.BestStep + 15, result.State.GlobalStep);
        Assert.Equal(result.State.BestLoss!.Value, trainer.Evaluate(), 6);
        Assert.Equal(
            new[] { $"checkpoint-{result.State.BestStep}", $"checkpoint-{result.State.GlobalStep}" }.Order(),
            folder.GetDirectories().Select(directory => directory.Name).Order());
    }

    [Fact]
    public void CancellingSavesAndTheRestGivesTheSameParameters()
    {
        using var whole = new TinyLanguageModel();
        Train(whole, Arguments);
        using var cancellation = new CancellationTokenSource();
        using var first = new TinyLanguageModel();
        var arguments = Arguments with { OutputDirectory = folder.FullName };
        var callback = new Recorder { OnStep = state => { if (state.GlobalStep == 7) cancellation.Cancel(); } };
        var cancelled = new Trainer<TokenBatch>(new TrainableModule(first), first.Loss, arguments, data, callbacks: [callback]).Train(cancellation: cancellation.Token);
        Assert.Equal(TrainingOutcome.Cancelled, cancelled.Outcome);
        Assert.EndsWith("checkpoint-7", cancelled.LastCheckpoint);

        using var second = new TinyLanguageModel(seed: 99);
        var rest = new Trainer<TokenBatch>(new TrainableModule(second), second.Loss, arguments, data).Train(resume: true);
        Assert.Equal(TrainingOutcome.Completed, rest.Outcome);
        Assert.Equal(12, rest.State.Logs.Count);
        Assert.Equal(whole.Values(), second.Values());
    }

    [Fact]
    public void CallbacksSeeTheRun()
    {
        using var model = new TinyLanguageModel();
        var recorder = new Recorder();
        var trainer = new Trainer<TokenBatch>(
            new TrainableModule(model), model.Loss, Arguments with { MaxSteps = 4, LoggingSteps = 3, EvalSteps = 2, OutputDirectory = folder.FullName }, data, data, [recorder]);
        trainer.Train();
        Assert.Equal(["begin", "step 1", "step 2", "evaluate 2", "step 3", "log 3", "step 4", "log 4", "evaluate 4", "save checkpoint-4", "end"], recorder.Events);
    }

    [Fact]
    public void LogsAreWrittenAsJsonLinesTensorBoardEventsAndText()
    {
        using var model = new TinyLanguageModel();
        using var console = new StringWriter();
        var jsonl = Path.Combine(folder.FullName, "log.jsonl");
        var events = Path.Combine(folder.FullName, "runs");
        new Trainer<TokenBatch>(
            new TrainableModule(model), model.Loss, Arguments with { LoggingSteps = 4, EvalSteps = 6 }, data, data,
            [new JsonLinesLog(jsonl), new TensorBoardLog(events), new ProgressWriter(console)]).Train();
        Assert.Equal(5, File.ReadLines(jsonl).Count());
        Assert.Contains("\"eval_perplexity\":", File.ReadAllText(jsonl));
        Assert.Contains("step 12/12  loss", console.ToString());
        Assert.Equal([4L, 8, 12], TensorBoardEvents.Read(Directory.GetFiles(events).Single()).Where(value => value.Tag == "train/loss").Select(value => value.Step));
    }

    [Theory]
    [InlineData("LearningRate")]
    [InlineData("BatchSize")]
    [InlineData("EvalSteps")]
    [InlineData("OutputDirectory")]
    [InlineData("ISupportsGradientCheckpointing")]
    public void ImpossibleOptionsAreNamed(string named)
    {
        var arguments = named switch
        {
            "LearningRate" => Arguments with { LearningRate = -1 },
            "BatchSize" => Arguments with { BatchSize = 0 },
            "EvalSteps" => Arguments with { EarlyStoppingPatience = 2 },
            "OutputDirectory" => Arguments with { LoadBestModelAtEnd = true },
            _ => Arguments with { GradientCheckpointing = true },
        };
        using var model = new TinyLanguageModel();
        Assert.Contains(named, Assert.Throws<TrainingArgumentException>(() => Train(model, arguments)).Message);
    }

    private static Tensor WithoutDropout(TinyLanguageModel model, TokenBatch batch)
    {
        model.eval();
        var loss = model.Loss(batch);
        model.train();
        return loss;
    }

    private TrainingResult Train(TinyLanguageModel model, TrainingArguments arguments) =>
        new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, arguments, data).Train();

    private sealed class Recorder : TrainerCallback
    {
        public List<string> Events { get; } = [];

        public Action<TrainerState>? OnStep { get; init; }

        public override void OnTrainBegin(TrainerState state) => Events.Add("begin");

        public override bool OnStepEnd(TrainerState state)
        {
            Events.Add($"step {state.GlobalStep}");
            OnStep?.Invoke(state);
            return true;
        }

        public override void OnLog(TrainerState state, TrainingLog log) => Events.Add($"log {log.Step}");

        public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) => Events.Add($"evaluate {evaluation.Step}");

        public override void OnSave(TrainerState state, string checkpoint) => Events.Add($"save {Path.GetFileName(checkpoint)}");

        public override void OnTrainEnd(TrainerState state) => Events.Add("end");
    }
}
