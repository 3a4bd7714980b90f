using System.Diagnostics;
using System.Globalization;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>A run with checkpoints, in which something happens to one rank: it is killed, hangs, throws, or the run is asked to stop.</summary>
internal static class LongRunScenario
{
    public const int Steps = 24, SaveSteps = 4, Batch = 12;

    /// <summary>The arguments are the output folder, what happens, on which rank, and after which step.</summary>
    public static void Run(RankResults results, string[] arguments)
    {
        var group = ProcessGroup.Current;
        var happening = new Happening(results, arguments[1], int.Parse(arguments[2], CultureInfo.InvariantCulture), int.Parse(arguments[3], CultureInfo.InvariantCulture));
        using var model = new TinyModel();
        using var adapted = model.Attach(new FossilConfig { TargetModules = ["up", "mid", "head"], ShardSize = 8, Dropout = 0.1, ModulesToSave = ["norm"] }, ScalarType.Float64);
        var options = new TrainingArguments
        {
            OutputDirectory = arguments[0], MaxSteps = Steps, BatchSize = Batch / (group?.Size ?? 1), LearningRate = 0.02, WarmupSteps = 2, LoggingSteps = 1, SaveSteps = SaveSteps, SaveTotalLimit = 2, DdpTimeout = TimeSpan.FromSeconds(arguments[1] == "hang" ? 4 : 60),
        };
        var result = new Trainer<TokenBatch>(adapted, batch => model.Loss(batch), options, TinyModel.Data(), callbacks: [happening]).Train(resume: true);
        results.Add("outcome", result.Outcome.ToString());
        results.Add("step", $"{result.State.GlobalStep}");
        results.Add("values", LoopScenario.Text([.. adapted.TrainableParameters().SelectMany(named => named.Parameter.detach().to(ScalarType.Float64).flatten().data<double>().ToArray())]));
    }

    private sealed class Happening(RankResults results, string what, int rank, int step) : TrainerCallback
    {
        public override bool RunsOnEveryRank => true;

        public override bool OnStepEnd(TrainerState state)
        {
            results.Add("now", $"{state.GlobalStep}");
            if (what == "slow") Thread.Sleep(100);
            if (state.GlobalStep != step || (ProcessGroup.Current?.Rank ?? 0) != rank) return true;
            switch (what)
            {
                case "kill":
                    // Somewhere in what comes next.
                    new Thread(() =>
                    {
                        Thread.Sleep(step % 7);
                        using var process = Process.GetCurrentProcess();
                        process.Kill();
                    }).Start();
                    break;
                case "hang":
                    Thread.Sleep(Timeout.Infinite);
                    break;
                case "leave":
                    // What no code of the run sees.
                    Environment.FailFast("lost");
                    break;
            }

            return true;
        }
    }
}
