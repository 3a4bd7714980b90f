using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Forward and backward pass of a Balance layer against PEFT's formula and against the frozen base, in the shapes of SmolLM2-135M.</summary>
internal static class LayerBenchmark
{
    public static void Run()
    {
        Console.WriteLine("layer: forward + backward, r = 64, (8, 128, in); ms, medians of alternating runs");
        Console.WriteLine($"{"dtype",-9} {"in x out",-11} {"base",8} {"PEFT",8} {"Fossil",8} {"Fossil/PEFT",12} {"PEFT/base",10} {"Fossil/base",12}");
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var (inFeatures, outFeatures) in new[] { (576, 576), (576, 192), (576, 1536), (1536, 576), (2048, 2048) }) Run(dtype, inFeatures, outFeatures);
        }
    }

    private static void Run(ScalarType dtype, long inFeatures, long outFeatures)
    {
        using var scope = NewDisposeScope();
        using var layer = new AdaptedLayer(inFeatures, outFeatures, dtype);
        using var adapted = layer.AttachAdapters();
        var shard = adapted.TrainableParameters()[0].Parameter;
        var x = randn(8, 128, inFeatures).to(dtype);
        var gradOutput = randn(8, 128, outFeatures).to(dtype);

        void Step(Func<Tensor, Tensor> forward)
        {
            // The input is no leaf, as in a model: autograd copies what it accumulates into a leaf.
            using var leaf = x.view(-1, inFeatures).detach().requires_grad_(true);
            using var input = leaf.view(x.shape);
            using var output = forward(input);
            output.backward([gradOutput]);
            shard.grad = null;
        }

        var times = Timing.Medians(
            21,
            () => Step(input => nn.functional.linear(input, layer.Weight)),
            () => Step(input => Reference.Forward(input, layer.Weight, shard)),
            () => Step(layer.forward));
        Console.WriteLine($"{dtype,-9} {$"{inFeatures}x{outFeatures}",-11} {times[0],8:F2} {times[1],8:F2} {times[2],8:F2} {times[2] / times[1],12:F2} {times[1] / times[0],10:F2} {times[2] / times[0],12:F2}");
    }
}
