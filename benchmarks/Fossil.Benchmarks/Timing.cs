using System.Diagnostics;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Times of alternatives, taken in turn so that a busy machine disturbs all alike; what counts are the medians and their ratio.</summary>
internal static class Timing
{
    /// <summary>The median time of each action in milliseconds.</summary>
    public static double[] Medians(int rounds, params Action[] actions)
    {
        var times = actions.Select(_ => new List<double>()).ToArray();
        for (var round = -2; round < rounds; round++)
        {
            for (var i = 0; i < actions.Length; i++)
            {
                using var scope = NewDisposeScope();
                var start = Stopwatch.GetTimestamp();
                actions[i]();
                if (round >= 0) times[i].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }
        return [.. times.Select(Median)];
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
