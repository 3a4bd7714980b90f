using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>What stays allocated between forward and backward pass, beside the output: measured as the process's resident memory over many layers.</summary>
internal static class MemoryBenchmark
{
    private const int Layers = 16;
    private const long Rows = 2048;
    private const long InFeatures = 1024;
    private const long OutFeatures = 1024;

    public static void Run()
    {
        Console.WriteLine($"memory: kept for the backward pass by a layer, r = 64, x ({Rows}, {InFeatures}), y ({Rows}, {OutFeatures}); MB, beside x and y");
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using var scope = NewDisposeScope();
            using var layer = new AdaptedLayer(InFeatures, OutFeatures, dtype);
            using var adapted = layer.AttachAdapters();
            var shard = adapted.TrainableParameters()[0].Parameter;
            var x = randn(Rows, InFeatures).to(dtype).requires_grad_(true);
            var output = Rows * OutFeatures * (dtype == ScalarType.Float32 ? 4 : 2) / 1e6;
            var fossil = Kept(() => layer.forward(x)) - output;
            var peft = Kept(() => Reference.Forward(x, layer.Weight, shard)) - output;
            Console.WriteLine($"{dtype,-9} PEFT's formula {peft,7:F2}   Fossil {fossil,7:F2}   (S alone is {Rows * 64 * 4 / 1e6:F2})");
        }
    }

    private static double Kept(Func<Tensor> forward)
    {
        using var scope = NewDisposeScope();
        forward();
        var before = Resident();
        for (var i = 0; i < Layers; i++) forward();
        return (Resident() - before) / (double)Layers / 1e6;
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        // The second number of statm: resident pages of 4096 bytes.
        return long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;
    }
}
