using System.Diagnostics;
using Fossil;
using Fossil.Distributed;
using Fossil.Models;
using Fossil.Training;
using static TorchSharp.torch;

/// <summary>Adapts the model with one method and measures what came of it.</summary>
internal static class Worker
{
    private const int WarmupSteps = 10, SaveSteps = 50;

    /// <returns>Whether the run came to its end; otherwise the same command goes on from its last checkpoint.</returns>
    public static bool Run(Method method, int seed, RunOptions options, string output, CancellationToken cancel)
    {
        var path = RunResult.PathIn(output, method.Key, seed);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var model = LlamaForCausalLM.FromGguf(options.Model, ScalarType.BFloat16);
        var problems = new WordProblems(options.Model);

        random.manual_seed(seed);
        var started = Stopwatch.GetTimestamp();
        using var adapted = method.Config is null ? null : model.AttachAdapters(method.Config);
        var initSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        adapted?.PrintTrainableParameters();

        var state = adapted is null ? new TrainerState() : Train(model, adapted, problems, seed, options, Path.GetDirectoryName(path)!, cancel);
        if (adapted is not null && state.GlobalStep < options.Steps) return false;
        if (ProcessGroup.Current is { IsMain: false }) return true;
        using var process = Process.GetCurrentProcess();
        var peak = process.PeakWorkingSet64 / 1e9;

        model.eval();
        var correct = problems.CountCorrect(model, options.Questions);
        var result = new RunResult
        {
            Method = method.Key,
            Seed = seed,
            Options = options,
            TrainableParameters = adapted?.CountParameters().Trainable ?? 0,
            InitSeconds = initSeconds,
            Losses = [.. state.Logs.Select(log => log.Loss)],
            PeakMemoryGigabytes = peak,
            Correct = correct,
            HamletPerplexity = problems.HamletPerplexity(model),
        };
        result.Save(output);
        Console.WriteLine($"{method.Title}: {result.ScorePercent:F1} % solved, perplexity on Hamlet {result.HamletPerplexity:F1}");
        return true;
    }

    private static TrainerState Train(LlamaForCausalLM model, AdaptedModel adapted, WordProblems problems, int seed, RunOptions options, string folder, CancellationToken cancel)
    {
        var arguments = new TrainingArguments
        {
            OutputDirectory = folder,
            MaxSteps = options.Steps,
            BatchSize = options.BatchSize,
            LearningRate = options.LearningRate,
            LearningRateScheduler = LearningRateSchedulerType.Cosine,
            WarmupSteps = Math.Min(WarmupSteps, options.Steps / 2),
            MaxGradNorm = 1,
            Bf16 = true,
            Seed = seed,
            LoggingSteps = 1,
            SaveSteps = SaveSteps,
            SaveTotalLimit = 1,
        };
        var data = problems.TrainingData();
        Console.WriteLine(data.Report);
        TrainerCallback[] callbacks = [new ProgressWriter(every: 10), new JsonLinesLog(Path.Combine(folder, "log.jsonl")), new TensorBoardLog(Path.Combine(folder, "tensorboard"))];
        return new Trainer<TokenBatch>(adapted, model.loss, arguments, data, callbacks: callbacks).Train(resume: true, cancel).State;
    }
}
