using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Llama.Tests;

/// <summary>The logits of a text's tokens, [tokens][vocabulary], and how far apart two are.</summary>
internal static partial class Logits
{
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
}
