namespace Fossil.Training;

/// <summary>
/// Which examples each step sees: a function of the seed and the step's number alone, so that a resumed run needs no other position,
/// on every platform and in every version.
/// </summary>
internal sealed class DataOrder(int examples, int batchSize, int accumulation, int seed, bool shuffle)
{
    private int[] order = [];
    private long orderEpoch = -1;

    /// <summary>Forward passes of one epoch; the last may be smaller.</summary>
    public int BatchesPerEpoch { get; } = (examples + batchSize - 1) / batchSize;

    /// <summary>Optimizer steps of one epoch; the last may have fewer batches.</summary>
    public int StepsPerEpoch => (BatchesPerEpoch + accumulation - 1) / accumulation;

    /// <summary>The batches of the step after <paramref name="stepsTaken"/> steps, each as numbers of examples.</summary>
    public IReadOnlyList<int[]> Batches(int stepsTaken)
    {
        var (epoch, step) = Math.DivRem(stepsTaken, StepsPerEpoch);
        if (epoch != orderEpoch) (order, orderEpoch) = (Order(epoch), epoch);
        var first = step * accumulation;
        return Enumerable.Range(first, Math.Min(accumulation, BatchesPerEpoch - first))
            .Select(batch => order[(batch * batchSize)..Math.Min(examples, (batch + 1) * batchSize)])
            .ToList();
    }

    /// <summary>A number that no other (seed, index) pair is likely to have (SplitMix64's finalizer over both).</summary>
    public static ulong Mix(int seed, int index) => Scramble(Scramble((ulong)(uint)seed + 0x9E3779B97F4A7C15) + (ulong)(uint)index);

    /// <summary>A number that depends on each bit of another one.</summary>
    public static ulong Scramble(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    /// <summary>Fisher-Yates with SplitMix64; the bias of the multiplication is below 2⁻³² for any number of examples.</summary>
    private int[] Order(int epoch)
    {
        var numbers = Enumerable.Range(0, examples).ToArray();
        if (!shuffle) return numbers;
        var state = Mix(seed, epoch);
        for (var last = examples - 1; last > 0; last--)
        {
            state += 0x9E3779B97F4A7C15;
            var chosen = (int)Math.BigMul(Scramble(state), (ulong)last + 1, out _);
            (numbers[last], numbers[chosen]) = (numbers[chosen], numbers[last]);
        }

        return numbers;
    }
}
