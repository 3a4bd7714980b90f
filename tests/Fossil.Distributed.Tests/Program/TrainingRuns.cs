using System.Globalization;
using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>Training runs whose steps are the same however many ranks share them.</summary>
internal static class TrainingRuns
{
    /// <summary>Examples of a step's batch, of all ranks together.</summary>
    public const int Batch = 8;

    public const int Steps = 5;

    /// <summary>The runs by their names.</summary>
    public static readonly IReadOnlyDictionary<string, Setup> All = new Dictionary<string, Setup>
    {
        ["fossil float64"] = new(ScalarType.Float64, new FossilConfig { TargetModules = Targets, ShardSize = 8, Dropout = 0.2, ModulesToSave = ["norm"], Bias = AdapterBias.All }),
        ["fossil float32"] = new(ScalarType.Float32, new FossilConfig { TargetModules = Targets, ShardSize = 8, Dropout = 0.2, ModulesToSave = ["norm"], Bias = AdapterBias.AdapterOnly }),
        ["lora float64"] = new(ScalarType.Float64, new LoraConfig { TargetModules = Targets, Rank = 4, Dropout = 0.3 }),
        ["dora float32"] = new(ScalarType.Float32, new LoraConfig { TargetModules = Targets, Rank = 4, Dropout = 0.1, UseDora = true }),
        ["bfloat16 travels"] = new(ScalarType.Float32, new FossilConfig { TargetModules = Targets, ShardSize = 8 }, DdpCommHook.Bf16),
    };

    private static string[] Targets => ["up", "mid", "down", "head"];

    /// <summary>Runs one.</summary>
    /// <param name="setup">What is trained.</param>
    /// <param name="ranks">How many ranks share it.</param>
    public static Outcome Run(Setup setup, int ranks)
    {
        using var model = new TinyModel();
        using var adapted = model.Attach(setup.Config, setup.Dtype);
        var arguments = new TrainingArguments
        {
            MaxSteps = Steps, BatchSize = Batch / ranks, GradientAccumulationSteps = 2, LearningRate = 0.02, LearningRateScheduler = LearningRateSchedulerType.Constant, MaxGradNorm = 0.5, WeightDecay = 0.01,
            LoggingSteps = 1, EvalSteps = 3, EvalBatchSize = 3, DdpCommHook = setup.Hook,
        };
        var (training, heldOut) = TinyModel.Data().Split(13);
        var result = new Trainer<TokenBatch>(adapted, batch => model.Loss(batch), arguments, training, heldOut).Train();
        var values = adapted.TrainableParameters().SelectMany(named => named.Parameter.detach().to(ScalarType.Float64).flatten().data<double>().ToArray()).ToArray();
        return new([.. result.State.Logs.Select(log => log.Loss)], [.. result.State.Logs.Select(log => log.GradientNorm)], [.. result.State.Evaluations.Select(evaluation => evaluation.Loss)], values, result.State.TokensSeen, ProcessGroup.Current?.LastReduction?.OverlappedShare ?? 0, ProcessGroup.Current?.LastReduction?.SentBytes ?? 0);
    }

    /// <param name="Dtype">The dtype of the model.</param>
    /// <param name="Config">Its adapter.</param>
    /// <param name="Hook">How gradients travel.</param>
    public sealed record Setup(ScalarType Dtype, AdapterConfig Config, DdpCommHook Hook = DdpCommHook.None);

    /// <summary>What came of a run.</summary>
    public sealed record Outcome(double[] Losses, double[] Norms, double[] Evaluations, double[] Values, long Tokens, double OverlappedShare, long SentBytes)
    {
        /// <summary>A hash of everything that must be the same bits on all ranks.</summary>
        public string Hash => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<double>([.. Losses, .. Norms, .. Evaluations, .. Values]))[..8]);

        /// <summary>As text.</summary>
        public string Text => string.Join('|', new[] { Losses, Norms, Evaluations, Values }.Select(part => string.Join(' ', part.Select(number => number.ToString("R", CultureInfo.InvariantCulture))))) + $"|{Tokens}|{OverlappedShare.ToString("R", CultureInfo.InvariantCulture)}|{SentBytes}";

        /// <summary>The inverse of <see cref="Text"/>.</summary>
        public static Outcome Of(string text)
        {
            var parts = text.Split('|');
            double[] Numbers(int part) => [.. parts[part].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
            return new(Numbers(0), Numbers(1), Numbers(2), Numbers(3), long.Parse(parts[4], CultureInfo.InvariantCulture), double.Parse(parts[5], CultureInfo.InvariantCulture), long.Parse(parts[6], CultureInfo.InvariantCulture));
        }
    }
}
