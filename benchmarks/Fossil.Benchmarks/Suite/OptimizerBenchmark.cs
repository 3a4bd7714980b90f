using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>AdamW on the 210 shards of SmolLM2. The floor is one pass that reads p, g, m and v and writes p, m and v; what the garbage collector takes of a step has a row of its own.</summary>
internal static class OptimizerBenchmark
{
    private const int BytesAnElement = 7 * sizeof(float);

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        using var model = context.Source.Load(bfloat16);
        using var adapted = model.AttachAdapters(Base.Config(64));
        using var optimizer = adapted.CreateOptimizer(1e-6);
        using var copies = new Disposables();
        var parameters = adapted.TrainableParameters().Select(named => named.Parameter).ToList();
        var plainParameters = parameters.Select(parameter => copies.Add(new TorchSharp.Modules.Parameter(parameter.detach().clone()))).ToList();
        using var plain = optim.AdamW(plainParameters, 1e-6, weight_decay: 0);
        optimizer.zero_grad();
        foreach (var parameter in parameters.Concat(plainParameters))
        {
            using var gradient = randn(parameter.shape);
            // As autograd does: into the gradient that is there.
            using var place = parameter.grad;
            if (place is null) parameter.grad = gradient;
            else place.copy_(gradient);
        }

        var pauses = new List<double>();
        var spreads = Turns.Take(context.Rounds(60), Step, Turns.Milliseconds(() => plain.step()));
        var floor = context.MillisecondsOf((double)BytesAnElement * parameters.Sum(parameter => parameter.numel()));
        yield return new("optimizer", $"AdamW, {parameters.Count} parameters", "ms", spreads[0], null, spreads[1], new(floor, floor, floor), [new("one pass", spreads[0].Median / floor, 1.5), new("libtorch", spreads[0].Median / spreads[1].Median, null)]);
        yield return new("optimizer", "garbage collection in a step", "ms", Spread.Of(pauses), null, null, null, []);

        double Step()
        {
            var before = GC.GetTotalPauseDuration();
            var time = Turns.Time(() => optimizer.step());
            var pause = (GC.GetTotalPauseDuration() - before).TotalMilliseconds;
            pauses.Add(pause);
            return time - pause;
        }
    }
}
