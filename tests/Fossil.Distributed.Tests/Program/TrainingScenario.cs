namespace Fossil.Distributed.Tests;

/// <summary>All runs, one of them twice.</summary>
internal static class TrainingScenario
{
    public static void Run(RankResults results, string[] arguments)
    {
        var group = ProcessGroup.Current!;
        foreach (var (name, setup) in TrainingRuns.All)
        {
            var outcome = TrainingRuns.Run(setup, group.Size);
            results.Add(name, outcome.Text);
            results.Add($"hash of {name}", outcome.Hash);
        }

        results.Add("hash of dora float32 again", TrainingRuns.Run(TrainingRuns.All["dora float32"], group.Size).Hash);
    }
}
