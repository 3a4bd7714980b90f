using Fossil.Kernels;

namespace Fossil.Distributed.Tests;

/// <summary>All runs, one of them twice; or those that the arguments name.</summary>
internal static class TrainingScenario
{
    public static void Run(RankResults results, string[] arguments)
    {
        var group = ProcessGroup.Current!;
        foreach (var (name, setup) in TrainingRuns.All.Where(run => arguments.Length == 0 || arguments.Contains(run.Key)))
        {
            var outcome = TrainingRuns.Run(setup, group.Size);
            results.Add(name, outcome.Text);
            results.Add($"hash of {name}", outcome.Hash);
        }

        results.Add("carried by", group.Memories.Beside(DevicePlace.Of(TorchSharp.torch.CPU)).Memory.Collectives.Library);
        results.Add("local rank", $"{group.LocalRank}");
        if (arguments.Length > 0) return;
        results.Add("hash of dora float32 again", TrainingRuns.Run(TrainingRuns.All["dora float32"], group.Size).Hash);
    }
}
