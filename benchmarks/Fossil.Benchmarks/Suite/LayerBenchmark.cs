using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Forward and backward pass of one Balance layer, r = 64, x (8, 128, in), against PEFT's formula and the frozen base.</summary>
internal static class LayerBenchmark
{
    private static readonly (long In, long Out)[] Shapes = [(576, 576), (576, 192), (576, 1536), (1536, 576), (2048, 2048)];

    // What a layer may cost of the frozen one where products are in bfloat16.
    private static readonly Dictionary<(long, long), double> OverFrozen = new() { [(576, 576)] = 1.30, [(576, 192)] = 1.45, [(576, 1536)] = 1.25, [(2048, 2048)] = 1.08 };

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        foreach (var dtype in (ScalarType[])[float32, bfloat16])
        {
            foreach (var shape in Shapes) yield return Run(context, dtype, shape, bf16: false);
        }

        foreach (var shape in Shapes) yield return Run(context, bfloat16, shape, bf16: true);
    }

    private static BenchmarkRow Run(SuiteContext context, ScalarType dtype, (long In, long Out) shape, bool bf16)
    {
        using var scope = NewDisposeScope();
        using var layer = new AdaptedLayer(shape.In, shape.Out, dtype);
        using var adapted = layer.AttachAdapters();
        adapted.Bf16Products = bf16;
        var shard = adapted.TrainableParameters()[0].Parameter;
        var formula = new PlainAdapter.Shard(64, bf16 ? bfloat16 : float32);
        var x = randn(8, 128, shape.In).to(dtype);
        var gradOutput = randn(8, 128, shape.Out).to(dtype);
        var spreads = Turns.Take(context.Rounds(30), Turns.Milliseconds(() => Step(layer.forward)), Turns.Milliseconds(() => Step(input => formula.Forward(input, layer.Weight, [shard]))), Turns.Milliseconds(() => Step(input => nn.functional.linear(input, layer.Weight))));
        var (own, peft, frozen) = (spreads[0], spreads[1], spreads[2]);
        return new(bf16 ? "layers-bf16" : "layers", $"{dtype.ToString().ToLowerInvariant()} {shape.In} x {shape.Out}", "ms", own, frozen, peft, null,
            [new("PEFT", own.Median / peft.Median, 0.8), new("frozen", own.Median / frozen.Median, bf16 && OverFrozen.TryGetValue(shape, out var goal) ? goal : null)]);

        void Step(Func<Tensor, Tensor> forward)
        {
            // The input is no leaf, as in a model: autograd copies what it accumulates into a leaf.
            using var leaf = x.view(-1, shape.In).detach().requires_grad_(true);
            using var input = leaf.view(x.shape);
            using var output = forward(input);
            output.backward([gradOutput]);
            shard.grad = null;
        }
    }
}
