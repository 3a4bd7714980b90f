using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>Runs that are stopped and resumed, with what a checkpoint brings beside an adapter's parameters: biases, modules that are trained whole, and what a PiSSA adapter started from, which each rank draws otherwise.</summary>
internal static class ResumeScenario
{
    public const int Steps = 6, StopsAt = 3, Batch = 8;

    private static readonly string[] Targets = ["up", "mid", "head"];

    /// <summary>The adapters by their names.</summary>
    public static readonly IReadOnlyDictionary<string, AdapterConfig> Configs = new Dictionary<string, AdapterConfig>
    {
        ["pissa"] = new LoraConfig { TargetModules = Targets, Rank = 4, InitLoraWeights = LoraInitialization.PissaWithIterations(1), Dropout = 0.2, ModulesToSave = ["norm"], Bias = AdapterBias.All },
        ["fossil"] = new FossilConfig { TargetModules = Targets, ShardSize = 8, Dropout = 0.2, ModulesToSave = ["norm"], Bias = AdapterBias.AdapterOnly },
    };

    public static void Run(RankResults results, string[] arguments)
    {
        foreach (var name in Configs.Keys)
        {
            results.Add($"{name} whole", Train(name, null, Steps));
            var folder = Path.Combine(results.Folder, name);
            Train(name, folder, StopsAt);
            results.Add($"{name} resumed", Train(name, folder, Steps));
        }
    }

    /// <summary>What becomes of an adapter: its loss on some data, its parameters. Resumes what is in the folder.</summary>
    public static string Train(string name, string? folder, int lastStep)
    {
        var group = ProcessGroup.Current;
        using var model = new TinyModel();
        manual_seed(7 + (group?.Rank ?? 0));
        using var adapted = model.Attach(Configs[name], ScalarType.Float64);
        var options = new TrainingArguments { OutputDirectory = folder, MaxSteps = Steps, BatchSize = Batch / (group?.Size ?? 1), LearningRate = 0.02, WarmupSteps = 2, LoggingSteps = 1, DdpTimeout = TimeSpan.FromMinutes(1) };
        new Trainer<TokenBatch>(adapted, batch => model.Loss(batch), options, TinyModel.Data(), callbacks: [new StopAt(lastStep)]).Train(resume: true);
        model.eval();
        using var withoutGradient = no_grad();
        using var batch = TinyModel.Data().GetBatch([1, 2, 3]);
        return LoopScenario.Text([model.Loss(batch).item<double>(), .. adapted.TrainableParameters().SelectMany(named => named.Parameter.detach().to(ScalarType.Float64).flatten().data<double>().ToArray())]);
    }

    private sealed class StopAt(int step) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state) => state.GlobalStep < step || step == Steps;
    }
}
