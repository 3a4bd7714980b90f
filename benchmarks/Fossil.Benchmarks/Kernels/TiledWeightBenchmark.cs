using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>
/// Where products with W + tile(D) pay: both passes of a float32 Balance layer by <see cref="TiledWeightProduct"/> over those by libtorch's product and the kernels of D, which also need the shard sum's gradient.
/// What <see cref="TiledWeightCost"/> says comes from these numbers. The fastest of several turns counts, which other programs disturb least.
/// </summary>
internal static class TiledWeightBenchmark
{
    private const int Rounds = 12;

    private static readonly long[] RowCounts = [8, 16, 32, 48, 64, 96, 128, 256, 1024];
    private static readonly int[] ShardSizes = [16, 64, 192];
    private static readonly (long In, long Out)[] Shapes = [(576, 192), (576, 576), (576, 1536), (1536, 576), (2304, 2304)];

    public static void Run()
    {
        Console.WriteLine($"{get_num_threads()} threads; time by W + tile(D) over the time by two products, forward and backward pass together, by rows");
        Console.WriteLine($"{"in x out",-12} {"r",4} {string.Concat(RowCounts.Select(rows => $"{rows,7}"))}");
        foreach (var (inFeatures, outFeatures) in Shapes)
        {
            foreach (var size in ShardSizes)
            {
                Console.WriteLine($"{$"{inFeatures} x {outFeatures}",-12} {size,4} {string.Concat(RowCounts.Select(rows => $"{Ratio(rows, inFeatures, outFeatures, size),7:F2}"))}");
            }
        }
    }

    private static double Ratio(long rows, long inFeatures, long outFeatures, int size)
    {
        using var scope = NewDisposeScope();
        var kernel = new TiledWeightProduct();
        var (x, weight, shard, gradOutput, sum) = (randn(rows, inFeatures), randn(outFeatures, inFeatures), randn(size, outFeatures), randn(rows, outFeatures), randn(rows, size));
        var (output, inputGradient) = (empty(rows, outFeatures), empty(rows, inFeatures));
        var spreads = Turns.Take(
            Rounds,
            Turns.Milliseconds(() =>
            {
                var transposed = shard.t().contiguous();
                if (!kernel.TryProduct(KernelMatrix.Of(output), KernelMatrix.Of(x), KernelMatrix.Of(weight), KernelMatrix.Of(shard))
                    || !kernel.TryInputGradient(KernelMatrix.Of(inputGradient), KernelMatrix.Of(gradOutput), KernelMatrix.Of(weight), KernelMatrix.Of(transposed))) throw new InvalidOperationException("The kernel does not take these shapes.");
            }),
            Turns.Milliseconds(() =>
            {
                ShardOperations.AddProducts(nn.functional.linear(x, weight), [(sum, shard)]);
                ShardOperations.AddTiled(gradOutput.mm(weight), ShardOperations.TimesTransposed(gradOutput, shard), size);
            }));
        return spreads[0].Min / spreads[1].Min;
    }
}
