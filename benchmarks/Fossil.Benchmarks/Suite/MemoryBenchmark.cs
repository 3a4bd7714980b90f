using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Peak resident memory of ten training steps, 2x128 tokens over a bfloat16 base, over that of the loaded model.</summary>
internal static class MemoryBenchmark
{
    private const int Steps = 10, Sequences = 2, Length = 128;

    // What a run is called, whether it computes activations again, and the goal in MB.
    private static readonly (MethodCase Method, bool Recompute, double? Goal)[] Cases =
        [(MethodCase.Fossil, false, 300), (MethodCase.Fossil, true, 220), (MethodCase.Lora, false, 340), (MethodCase.Dora, false, null)];

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        foreach (var (method, recompute, goal) in Cases)
        {
            var index = MethodCase.All.Index().Single(entry => entry.Item == method).Index.ToString();
            var own = Spread.Of(Enumerable.Range(0, context.IsShort ? 1 : 3).Select(_ => OwnMemory.Measure(context.Source, "training", index, recompute ? "recompute" : "here")));
            var plain = recompute ? null : Spread.Of([OwnMemory.Measure(context.Source, "training", index, "libtorch")]);
            yield return new("memory", method.Name + (recompute ? ", activations recomputed" : ""), "MB", own, null, plain, null, goal is null ? [] : [new("goal", own.Median / goal.Value, 1)]);
        }
    }

    /// <summary>Trains in this process, and gives the megabytes.</summary>
    /// <param name="source">The model's files.</param>
    /// <param name="method">By its index.</param>
    /// <param name="how">here, recompute or libtorch.</param>
    public static double Train(Base source, int method, string how)
    {
        var tokens = source.Text();
        using var model = source.Load(bfloat16);
        model.train();
        var loaded = Base.Resident();
        foreach (var part in model.modules().OfType<ISupportsGradientCheckpointing>()) part.GradientCheckpointing = how == "recompute";
        if (how == "libtorch")
        {
            var plain = new PlainLlama(model, MethodCase.All[method].Formula(float32));
            using var optimizer = optim.AdamW(plain.Attach().Select(named => named.Parameter).ToList(), 5e-4, weight_decay: 0);
            Train(plain.Loss, tokens, optimizer);
        }
        else
        {
            using var adapted = model.AttachAdapters(MethodCase.All[method].Config);
            using var optimizer = adapted.CreateOptimizer(5e-4);
            Train(ids => model.loss(ids, ids), tokens, optimizer);
        }

        return (Base.PeakResident() - loaded) / 1e6;
    }

    private static void Train(Func<Tensor, Tensor> loss, int[] tokens, optim.Optimizer optimizer)
    {
        for (var step = 0; step < Steps; step++)
        {
            using var scope = NewDisposeScope();
            loss(Base.Batch(tokens, step * Sequences * Length, Sequences, Length)).backward();
            optimizer.step();
            optimizer.zero_grad();
        }
    }
}
