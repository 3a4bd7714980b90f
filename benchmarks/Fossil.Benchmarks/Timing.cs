using System.Diagnostics;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Times of alternatives, taken in turn so that a busy machine disturbs all alike; what counts are the medians and their ratio.</summary>
internal static class Timing
{
    /// <summary>Measures the calling thread's processor time instead of the wall clock: for one thread (OMP_NUM_THREADS=1) on a busy Linux machine.</summary>
    public static bool ProcessorTime { get; set; }

    /// <summary>The median time of each action in milliseconds.</summary>
    public static double[] Medians(int rounds, params Action[] actions)
    {
        var times = actions.Select(_ => new List<double>()).ToArray();
        for (var round = -2; round < rounds; round++)
        {
            for (var i = 0; i < actions.Length; i++)
            {
                using var scope = NewDisposeScope();
                var start = Now();
                actions[i]();
                if (round >= 0) times[i].Add(Now() - start);
            }
        }
        return [.. times.Select(Median)];
    }

    private static double Now() => ProcessorTime
        ? long.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0]) / 1e6
        : Stopwatch.GetTimestamp() * 1e3 / Stopwatch.Frequency;

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
