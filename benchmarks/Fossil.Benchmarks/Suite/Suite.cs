using System.Globalization;
using Spectre.Console;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>All benchmarks, one after the other.</summary>
internal static class Suite
{
    private static readonly (string Name, Func<SuiteContext, IEnumerable<BenchmarkRow>> Run)[] Parts =
    [
        ("steps", StepBenchmark.Run), ("layers", LayerBenchmark.Run), ("decoding", DecodingBenchmark.Run), ("optimizer", OptimizerBenchmark.Run), ("attaching", AttachingBenchmark.Run),
        ("memory", MemoryBenchmark.Run), ("loading", LoadingBenchmark.Run), ("kernels", KernelBenchmark.Run),
    ];

    public static IEnumerable<string> Names => Parts.Select(part => part.Name);

    /// <summary>Runs the parts with these names, all where there are none.</summary>
    public static BenchmarkResults Run(Base source, bool isShort, IReadOnlyList<string> only, string? earlier)
    {
        random.manual_seed(0);
        var context = new SuiteContext(source, isShort, Machine.ReadBandwidth(), earlier);
        var rows = new List<BenchmarkRow>();
        foreach (var (name, run) in Parts.Where(part => only.Count == 0 || only.Contains(part.Name)))
        {
            AnsiConsole.WriteLine($"{name} …");
            rows.AddRange(run(context));
            // What was measured before is not in the way of what comes.
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        var command = string.Join(' ', (IEnumerable<string>)["all", .. isShort ? (string[])["--short"] : [], .. only.Count > 0 ? only.Prepend("--only") : [], .. earlier is null ? (string[])[] : ["--earlier", earlier]]);
        return new(Machine.Processor(), get_num_threads(), context.Bandwidth, Machine.Commit(), DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), command, rows);
    }
}
