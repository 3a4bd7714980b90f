using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Attaching an adapter to SmolLM2 in bfloat16.</summary>
internal static class AttachingBenchmark
{
    private static readonly (MethodCase Method, double Goal)[] Cases =
    [
        (MethodCase.Fossil, 20), (MethodCase.Lora, 30), (MethodCase.Dora, 60),
        (MethodCase.Lora with { Name = "PiSSA r=32, 16 iterations", Config = (LoraConfig)MethodCase.Lora.Config with { InitLoraWeights = LoraInitialization.PissaWithIterations(16) } }, 1000),
    ];

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        using var model = context.Source.Load(bfloat16);
        var weights = model.named_parameters().Where(named => Base.Projections.Any(name => named.name.EndsWith($"{name}.weight", StringComparison.Ordinal))).Select(named => named.parameter).ToList();
        foreach (var (method, goal) in Cases)
        {
            // PEFT's PiSSA is not written in libtorch's operations here.
            var formula = goal < 1000 ? method.Formula(float32) : null;
            var spreads = Turns.Take(context.Rounds(9), [() => Attach(model, method.Config), .. formula is null ? (Func<double>[])[] : [Turns.Milliseconds(() => Create(formula))]]);
            yield return new("attaching", method.Name, "ms", spreads[0], null, spreads.Length > 1 ? spreads[1] : null, null, [new("goal", spreads[0].Median / goal, 1)]);
        }

        void Create(PlainAdapter formula)
        {
            foreach (var weight in weights)
            {
                foreach (var parameter in formula.Create(weight)) parameter.Dispose();
            }
        }
    }

    private static double Attach(LlamaForCausalLM model, AdapterConfig config)
    {
        AdaptedModel? adapted = null;
        var time = Turns.Time(() => adapted = model.AttachAdapters(config));
        adapted!.Dispose();
        return time;
    }
}
