using System.Diagnostics;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Measures alternatives in turn, so that a busy machine disturbs all alike.</summary>
internal static class Turns
{
    private const int WarmUp = 1;

    /// <summary>Takes all measurements, one after the other, in each of so many rounds behind one that does not count.</summary>
    public static Spread[] Take(int rounds, params IReadOnlyList<Func<double>> measurements)
    {
        var values = measurements.Select(_ => new List<double>()).ToArray();
        for (var round = -WarmUp; round < rounds; round++)
        {
            foreach (var (i, measure) in measurements.Index())
            {
                using var scope = NewDisposeScope();
                var value = measure();
                if (round >= 0) values[i].Add(value);
            }
        }

        return [.. values.Select(Spread.Of)];
    }

    /// <summary>Milliseconds of an action.</summary>
    public static Func<double> Milliseconds(Action action) => () => Time(action);

    /// <summary>Microseconds of an action.</summary>
    public static Func<double> Microseconds(Action action) => () => Time(action) * 1e3;

    /// <summary>Milliseconds that an action takes now.</summary>
    public static double Time(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
