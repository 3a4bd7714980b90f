using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Forward and backward pass of a training step of SmolLM2, 2x128 tokens over a bfloat16 base, with an adapter on all seven projections: all methods, their formulas and their products in turn.</summary>
internal static class StepBenchmark
{
    private const int Sequences = 2, Length = 128;
    private const long Tokens = Sequences * Length, Predicted = Sequences * (Length - 1);

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        var tokens = context.Source.Text();
        using var scope = new Disposables();
        var model = scope.Add(Trained(context.Source.Load(bfloat16)));
        // Frozen but for the first norm: the gradient flows through every layer, to next to nothing that is trained.
        foreach (var (name, parameter) in model.named_parameters()) parameter.requires_grad_(name == "model.layers.0.input_layernorm.weight");
        var products = scope.Add(Products.OfFrozen(model, Tokens, Predicted));
        var plainModel = scope.Add(context.Source.Load(bfloat16));
        var measurements = new List<Func<double>> { Step(ids => model.loss(ids, ids)), Turns.Milliseconds(products.Run), Plain(plainModel, new PlainAdapter.None(), "model.layers.0.input_layernorm.weight") };
        (MethodCase Method, ScalarType Dtype)[] cases = [.. ((ScalarType[])[float32, bfloat16]).SelectMany(dtype => MethodCase.All.Select(method => (method, dtype)))];
        foreach (var (method, dtype) in cases)
        {
            var floor = scope.Add(Products.OfAdapter(model, dtype, (inputs, outputs) => method.Products(Tokens, inputs, outputs)));
            var own = scope.Add(Trained(context.Source.Load(bfloat16)));
            var adapted = scope.Add(own.AttachAdapters(method.Config));
            adapted.Bf16Products = dtype == bfloat16;
            var optimizer = scope.Add(adapted.CreateOptimizer(5e-4));
            measurements.Add(Step(ids => own.loss(ids, ids), optimizer));
            measurements.Add(Plain(plainModel, method.Formula(dtype)));
            measurements.Add(Turns.Milliseconds(floor.Run));
        }

        // Where x goes through a changed weight in float32: its products in place of the base's in bfloat16.
        var wide = measurements.Count;
        foreach (var dtype in (ScalarType[])[float32, bfloat16]) measurements.Add(Turns.Milliseconds(scope.Add(Products.OfAdapter(model, dtype, (inputs, outputs) => [[Tokens, inputs, outputs], [Tokens, outputs, inputs]])).Run));
        using var earlier = context.Earlier is { } commit ? new EarlierFrozenStep(commit, context.Source) : null;
        if (earlier is not null) measurements.Add(earlier.Milliseconds);
        var spreads = Turns.Take(context.Rounds(9), measurements);
        var frozen = spreads[0].Median;
        yield return new("frozen", "frozen base", "ms", spreads[0], null, spreads[2], spreads[1],
            [new("products", frozen / spreads[1].Median, 1.12), new("libtorch", frozen / spreads[2].Median, null)]);
        if (earlier is not null) yield return new("frozen", $"frozen base at {earlier.Commit}", "ms", spreads[^1], null, spreads[2], spreads[1], [new("products", spreads[^1].Median / spreads[1].Median, null)]);
        foreach (var (i, (method, dtype)) in cases.Index())
        {
            var (own, plain, floor) = (spreads[(3 * i) + 3], spreads[(3 * i) + 4], spreads[(3 * i) + 5]);
            var (group, most) = dtype == bfloat16 ? ("steps-bf16", 1.6) : ("steps", 1.4);
            double? overFrozen = dtype == bfloat16 && method == MethodCase.Fossil ? 1.12 : null;
            // Where an earlier frozen step is measured, the goals count from it.
            (double Time, string Of, bool HasGoals)[] starts = earlier is null ? [(frozen, "", true)] : [(spreads[^1].Median, $" of {earlier.Commit}", true), (frozen, "", false)];
            var wider = spreads[wide].Median - spreads[wide + 1].Median;
            yield return new(group, method.Name, "ms", own, spreads[0], plain, floor,
            [
                .. starts.Select(start => new Comparison($"floor, what is added to frozen{start.Of}", (own.Median - start.Time) / floor.Median, start.HasGoals ? most : null)),
                .. starts.Where(_ => method.ReplacesBase && dtype == float32).Select(start => new Comparison($"floor with the base's products in float32, what is added to frozen{start.Of}", (own.Median - start.Time) / (floor.Median + wider), null)),
                new("PEFT", own.Median / plain.Median, 1),
                .. starts.Select(start => new Comparison($"frozen{start.Of}", own.Median / start.Time, start.HasGoals ? overFrozen : null)),
            ]);
        }

        Func<double> Step(Func<Tensor, Tensor> loss, optim.Optimizer? optimizer = null)
        {
            var start = 0;
            return () =>
            {
                // What others left in caches and in the heap costs the first of both.
                Once();
                return Once();
            };

            double Once()
            {
                using var inner = NewDisposeScope();
                var ids = Base.Batch(tokens, start, Sequences, Length);
                start = (start + (int)Tokens) % (tokens.Length - (int)Tokens);
                var time = Turns.Time(() => loss(ids).backward());
                // Not timed: it has a row of its own.
                optimizer?.step();
                optimizer?.zero_grad();
                return time;
            }
        }

        Func<double> Plain(LlamaForCausalLM weights, PlainAdapter adapter, string? trained = null)
        {
            var plain = new PlainLlama(weights, adapter);
            var parameters = plain.Attach().Select(named => named.Parameter).ToList();
            var step = Step(plain.Loss);
            return () =>
            {
                var first = trained is null ? null : weights.get_parameter(trained);
                first?.requires_grad_(true);
                var time = step();
                first?.requires_grad_(false);
                foreach (var parameter in parameters) parameter.grad = null;
                return time;
            };
        }
    }

    private static LlamaForCausalLM Trained(LlamaForCausalLM model)
    {
        model.train();
        return model;
    }
}
