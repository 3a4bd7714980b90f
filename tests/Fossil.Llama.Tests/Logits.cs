using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Llama.Tests;

/// <summary>The logits of a text's tokens, [tokens][vocabulary], and how far apart two are.</summary>
internal static class Logits
{
    // llama.cpp's sums have another order, and its GELU is a table in half precision.
    private const double Tolerance = 1e-3;

    public static float[][] Of(CausalLM model, IReadOnlyList<int> ids)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var rows = model.forward(tensor([.. ids.Select(id => (long)id)], [1, ids.Count]))[0].to(float32);
        return [.. Enumerable.Range(0, ids.Count).Select(row => rows[row].data<float>().ToArray())];
    }

    /// <summary>The largest difference, relative to the largest logit.</summary>
    public static double Distance(float[][] expected, float[][] actual) =>
        expected.Zip(actual, (e, a) => e.Zip(a, (x, y) => Math.Abs(x - y)).Max()).Max() / expected.Max(row => row.Max(MathF.Abs));

    public static void AssertNear(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.InRange(Distance(expected, actual), 0, Tolerance);
    }

    /// <summary>The perplexity of a text whose first token is given.</summary>
    public static double Perplexity(float[][] logits, IReadOnlyList<int> ids) => Math.Exp(Enumerable.Range(1, ids.Count - 1).Average(i => -LogProbability(logits[i - 1], ids[i])));

    private static double LogProbability(float[] logits, int id)
    {
        var largest = (double)logits.Max();
        return logits[id] - largest - Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
    }
}
