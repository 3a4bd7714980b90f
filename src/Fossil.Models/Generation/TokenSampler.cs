using System.Numerics;

namespace Fossil.Models;

/// <summary>Chooses the next token of one text from its logits, in the order of Hugging Face's processors: repetition penalty, temperature, top-k, top-p, min-p.</summary>
internal sealed class TokenSampler
{
    private readonly GenerationOptions options;
    private readonly Random random;
    private readonly HashSet<int> seen;

    public TokenSampler(GenerationOptions options, IEnumerable<int> prompt)
    {
        this.options = options;
        random = options.Seed is { } seed ? new Random(seed) : new Random();
        seen = options.RepetitionPenalty == 1 ? [] : [.. prompt];
    }

    /// <summary>The next token; <paramref name="logits"/> are changed.</summary>
    public int Next(Span<float> logits)
    {
        Penalize(logits);
        var token = options.Temperature == 0 ? Likeliest(logits) : Draw(logits);
        if (options.RepetitionPenalty != 1) seen.Add(token);
        return token;
    }

    private void Penalize(Span<float> logits)
    {
        foreach (var token in seen)
        {
            var penalty = (float)options.RepetitionPenalty;
            logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
        }
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        var most = new Vector<float>(float.NegativeInfinity);
        var i = 0;
        for (; i + Vector<float>.Count <= logits.Length; i += Vector<float>.Count)
        {
            var next = new Vector<float>(logits[i..]);
            most = Vector.ConditionalSelect(Vector.GreaterThan(next, most), next, most);
        }

        var largest = float.NegativeInfinity;
        for (var lane = 0; lane < Vector<float>.Count; lane++) largest = MathF.Max(largest, most[lane]);
        for (; i < logits.Length; i++)
        {
            if (logits[i] > largest) largest = logits[i];
        }

        // The first of several; where none is a number, the first of all.
        return Math.Max(0, logits.IndexOf(largest));
    }

    private int Draw(ReadOnlySpan<float> logits)
    {
        var candidates = TopK(logits);
        var largest = logits[Likeliest(logits)];
        var weights = new double[candidates.Length];
        for (var i = 0; i < weights.Length; i++) weights[i] = Math.Exp((logits[candidates[i]] - largest) / options.Temperature);
        if (options.TopP is { } p && p < 1) (candidates, weights) = TopP(candidates, weights, p);
        // The likeliest token has the weight 1.
        if (options.MinP is { } share) weights = [.. weights.Select(weight => weight >= share ? weight : 0)];

        var point = random.NextDouble() * weights.Sum();
        for (var i = 0; i < weights.Length; i++)
        {
            point -= weights[i];
            if (point < 0) return candidates[i];
        }
        // Rounding may leave a remainder behind the last candidate.
        return candidates[Array.FindLastIndex(weights, weight => weight > 0)];
    }

    private int[] TopK(ReadOnlySpan<float> logits)
    {
        var all = new int[logits.Length];
        for (var i = 0; i < all.Length; i++) all[i] = i;
        if (options.TopK is not { } k || k >= all.Length) return all;

        var heap = new PriorityQueue<int, float>(k);
        for (var i = 0; i < all.Length; i++)
        {
            if (heap.Count < k) heap.Enqueue(i, logits[i]);
            else heap.EnqueueDequeue(i, logits[i]);
        }
        int[] kept = [.. heap.UnorderedItems.Select(item => item.Element)];
        Array.Sort(kept);
        return kept;
    }

    /// <summary>The smallest set of the likeliest tokens whose probability reaches <paramref name="p"/>.</summary>
    private static (int[] Candidates, double[] Weights) TopP(int[] candidates, double[] weights, double p)
    {
        var total = weights.Sum();
        // All tokens below this together have less than 1 - p, so none of them is needed; that spares sorting the long tail.
        var negligible = total * (1 - p) / weights.Length;
        int[] order = [.. Enumerable.Range(0, weights.Length).Where(i => weights[i] >= negligible).OrderByDescending(i => weights[i])];
        var (count, sum) = (0, 0.0);
        while (count < order.Length && sum < p * total) sum += weights[order[count++]];
        order = order[..Math.Max(1, count)];
        return ([.. order.Select(i => candidates[i])], [.. order.Select(i => weights[i])]);
    }
}
