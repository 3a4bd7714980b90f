using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>What a step moves and computes, counted: bytes by the emulation, instructions in the PTX. It is what docs/cuda.md argues speed from.</summary>
public sealed partial class TrafficTests
{
    private const int ShardSize = 16;

    /// <summary>No kernel reads or writes more than its shape needs: x, y, dy and dx as often as blocks share them, and nothing of their size besides.</summary>
    [SkippableFact]
    public void NothingOfTheSizeOfXIsMovedTwice()
    {
        const long Rows = 8, Size = 1024, Wide = Rows * Size * 2, OfShard = ShardSize * Size * 4, Narrow = Rows * ShardSize * 4;
        var steps = Step(Rows, Size);
        var (forward, backward) = (steps[0].Traffic, steps[1].Traffic);
        var (across, parts) = (Size / CudaShardShape.TensorColumns, Size / CudaShardShape.TensorPart);
        // x once for each 512 columns of y, which is read and written once as D is read.
        Assert.Equal((across * Wide) + Wide + OfShard, forward.LoadedBytes);
        Assert.Equal(Wide + Narrow, forward.StoredBytes);
        // dy for dS and for dD, D for dS, dx once; S for each tile of dD, parts of dS once.
        Assert.Equal((2 * Wide) + OfShard + Wide + (Size / CudaShardShape.TensorGradient * Narrow) + (parts * Narrow), backward.LoadedBytes);
        // Besides, the blocks count themselves.
        Assert.Equal(Wide + OfShard + (parts * Narrow) + ((parts + 1) * sizeof(int)), backward.StoredBytes);
        // Sixteen bytes at a time, but for S and the parts.
        Assert.Equal(forward.LoadedBytes / 16, forward.Loads);
        Assert.Equal(Size / 16, forward.Products);
    }

    [SkippableFact]
    public void TableOfTheDocuments()
    {
        Skip.If(string.IsNullOrEmpty(Environment.GetEnvironmentVariable("FOSSIL_CUDA_TRAFFIC")), "tools/cuda-check/traffic.sh runs it, and writes the table.");
        var text = new StringBuilder("| rows | kernel | blocks | loads: of them 16 bytes | loaded, MB | stored, MB | `mma` | instructions a vector |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        var ptx = Tools.RequireNvrtc().Compile(CudaShardSource.Of(ShardSize, CudaElement.All[1]), "the table", 90).Ptx;
        foreach (var rows in new[] { 1L, 64, 256, 1024 })
        {
            foreach (var (kernel, blocks, t) in Step(rows, 4096))
            {
                text.Append(CultureInfo.InvariantCulture, $"| {rows} | `{kernel}` | {blocks} | {t.Loads:N0}: {t.LoadedBytes / 16.0 / t.Loads:P0} | {t.LoadedBytes / 1e6:0.00} | {t.StoredBytes / 1e6:0.00} | {t.Products:N0} | {InstructionsOfVector(ptx, kernel):0.#} |\n");
            }
        }
        DocumentTable.Write("traffic", text.ToString());
    }

    /// <summary>The kernels of both passes of a step with 16-bit products; of many rows those beside cuBLAS's.</summary>
    private static List<(string Kernel, long Blocks, EmulatedTraffic Traffic)> Step(long rows, long size)
    {
        using var scope = NewDisposeScope();
        EmulatedKernels kernels = new(ShardSize, "bfloat16", multiprocessors: 132);
        Tensor x = zeros([rows, size], dtype: bfloat16), y = x.clone(), shard = zeros(ShardSize, size), gradient = shard.clone(), sum = zeros(rows, ShardSize), rounded = sum.to(bfloat16);
        List<(string, long, EmulatedTraffic)> all = [];
        void Run(Func<bool> launch)
        {
            Assert.True(launch());
            all.Add((kernels.Launched!, kernels.Blocks, kernels.Traffic));
        }

        if (rows > CudaShardShape.MostRows)
        {
            Run(() => kernels.Stubs.TryShardSum(kernels, kernels.Matrix(x), kernels.Matrix(rounded)));
            Run(() => kernels.Stubs.TryAddTiled(kernels, kernels.Matrix(sum), kernels.Matrix(x), rounds: true, adds: true));
            return all;
        }

        Run(() => kernels.Stubs.TryForward(kernels, kernels.Matrix(x), kernels.Matrix(shard), kernels.Matrix(y), kernels.Matrix(sum), isRounded: true, adds: true));
        Run(() => kernels.Stubs.TryBackward(kernels, kernels.Matrix(y), kernels.Matrix(shard), kernels.Matrix(sum), kernels.Matrix(x), kernels.Matrix(gradient), isRounded: true, adds: true));
        return all;
    }

    /// <summary>Of the loops that read 16 bytes at a time: the fewest instructions for each of their vectors.</summary>
    private static double InstructionsOfVector(string ptx, string kernel)
    {
        var lines = CompilerTests.PtxOf(ptx, kernel).Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0).ToArray();
        var labels = lines.Index().Where(line => Label().IsMatch(line.Item)).ToDictionary(line => line.Item.TrimEnd(':'), line => line.Index);
        return lines.Index()
            .Where(line => Branch().Match(line.Item) is { Success: true } branch && labels.TryGetValue(branch.Groups[1].Value, out var start) && start < line.Index)
            .Select(line => lines[labels[Branch().Match(line.Item).Groups[1].Value]..(line.Index + 1)])
            .Select(loop => (Instructions: loop.Count(line => line.EndsWith(';') && !line.StartsWith('.')), Vectors: loop.Count(line => CompilerTests.VectorLoad().IsMatch(line))))
            .Where(loop => loop.Vectors > 0).Select(loop => loop.Instructions / (double)loop.Vectors).DefaultIfEmpty(double.NaN).Min();
    }

    [GeneratedRegex(@"^\$\w+:$")]
    private static partial Regex Label();

    [GeneratedRegex(@"bra(?:\.uni)?\s+(\$\w+);")]
    private static partial Regex Branch();
}
