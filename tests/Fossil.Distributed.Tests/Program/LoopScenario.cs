using System.Globalization;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>A loop of one's own, with the library's optimizer and with one of libtorch's.</summary>
internal static class LoopScenario
{
    public const int Steps = 5;

    public static void Run(RankResults results, string[] arguments)
    {
        foreach (var isOwn in new[] { true, false }) results.Add(Name(isOwn), Text(Train(isOwn)));
        try
        {
            _ = Train(true, seed: ProcessGroup.Current!.Rank);
        }
        catch (FossilException exception)
        {
            results.Add("other start values", $"{exception.GetType().Name}: {exception.Message}");
        }
    }

    public static string Name(bool isOwn) => isOwn ? "FusedAdamW" : "AdamW";

    public static string Text(double[] values) => string.Join(' ', values.Select(value => value.ToString("R", CultureInfo.InvariantCulture)));

    /// <summary>Each step has five rows, which the ranks divide unevenly; with six ranks one would have none.</summary>
    public static double[] Train(bool isOwn, int seed = 1)
    {
        var group = ProcessGroup.Current;
        var (rank, size) = (group?.Rank ?? 0, group?.Size ?? 1);
        using var model = new TinyModel();
        manual_seed(seed);
        using var adapted = model.Attach(new LoraConfig { TargetModules = ["up", "mid", "head"], Rank = 4, ModulesToSave = ["norm"] }, ScalarType.Float64);
        var data = TinyModel.Data();
        using optim.Optimizer optimizer = isOwn ? adapted.CreateOptimizer(learningRate: 0.02) : optim.AdamW(adapted.TrainableParameters().Select(named => named.Parameter), lr: 0.02);
        for (var step = 0; step < Steps; step++)
        {
            optimizer.zero_grad();
            int[] rows = [.. Enumerable.Range(step * 5, 5).Where(row => row % size == rank)];
            using var batch = data.GetBatch(rows);
            model.Loss(batch).backward();
            if (group is not null) group.ReduceGradients(optimizer, batch.LossItems);
            optimizer.step();
        }

        return [.. adapted.TrainableParameters().SelectMany(named => named.Parameter.detach().to(ScalarType.Float64).flatten().data<double>().ToArray())];
    }
}
