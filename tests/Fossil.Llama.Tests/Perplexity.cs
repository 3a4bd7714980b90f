namespace Fossil.Llama.Tests;

/// <summary>The perplexity of texts, of each of which the first token is given.</summary>
internal static class Perplexity
{
    /// <summary>Of one text.</summary>
    public static double Of(float[][] logits, IReadOnlyList<int> ids) => Math.Exp(Loss(logits, ids) / (ids.Count - 1));

    /// <summary>Of several, of which each token counts the same.</summary>
    public static double Of(IReadOnlyList<int[]> texts, Func<int[], float[][]> logits) => Math.Exp(texts.Sum(ids => Loss(logits(ids), ids)) / texts.Sum(ids => ids.Length - 1));

    private static double Loss(float[][] logits, IReadOnlyList<int> ids) => Enumerable.Range(1, ids.Count - 1).Sum(i => -LogProbability(logits[i - 1], ids[i]));

    private static double LogProbability(float[] logits, int id)
    {
        var largest = (double)logits.Max();
        return logits[id] - largest - Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
    }
}
