using System.Reflection;
using System.Text.RegularExpressions;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The launch stubs beside what the compiled kernels take.</summary>
public sealed partial class LaunchTests
{
    [SkippableTheory]
    [InlineData(16, "float")]
    [InlineData(1023, "bfloat16")]
    public void ArgumentsAreThoseOfTheKernelsParameters(int shardSize, string type)
    {
        var nvrtc = Tools.RequireNvrtc();
        var source = new KernelSource(shardSize, CudaElement.All.Single(element => element.CudaType == type));
        var ptx = nvrtc.Compile(source.Text, source.ToString(), 90).Ptx;
        var all = Launches(new(new(shardSize, source.Element.Size)), rows: 3).ToList();

        Assert.Equal(KernelSource.KernelsOf(source.Text).Order(), all.Select(launch => launch.Kernel).Distinct().Order());
        Assert.All(all, launch => Assert.Equal(ParametersOf(ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size)));
    }

    /// <summary>What the generator wrote into this assembly is what the run time would make itself, character for character.</summary>
    [Fact]
    public void TheGeneratedSourceIsTheRunTimes()
    {
        var generated = typeof(Projection).Assembly.GetType("Fossil.Generated.CudaShardSource16", throwOnError: true)!.GetMethod("Source", BindingFlags.NonPublic | BindingFlags.Static)!;
        foreach (var element in CudaElement.All)
        {
            var text = (string?)generated.Invoke(null, [Enum.Parse<ScalarType>(element.Name)]);
            Assert.Equal(CudaShardSource.Of(16, element), text);
            Assert.Equal(text, CudaShardSources.Of(16, element));
        }
        Assert.Null(generated.Invoke(null, [ScalarType.Float64]));
        Assert.Equal(CudaShardSource.Of(17, CudaElement.All[0]), CudaShardSources.Of(17, CudaElement.All[0]));
    }

    /// <summary>Offsets are 64-bit products of 64-bit numbers; a grid counts blocks, which are fewer.</summary>
    [Fact]
    public void MatricesOfMoreThanTwoToTheThirtyOneElementsHaveLaunches()
    {
        var launches = new CudaShardLaunches(new(64, 2));
        CudaMatrix x = new(1 << 20, 3_000_000, 4096, 4096);
        var split = launches.SplitOfSum(x, 132);
        Assert.True(CudaShardLaunches.FitsGrid(split.RowBlocks, 0));
        Assert.True(split.RowBlocks * split.Block.Y >= x.Rows && split.Blocks == 1);
        Assert.Contains(3_000_000L, launches.ShardSum(x, x with { Columns = 64, RowStride = 64 }, false, split, 0, 0).Arguments.Select(argument => argument.Bits));
        Assert.False(CudaShardLaunches.Takes(x with { Columns = 3_000_000_000 }));
    }

    /// <summary>Whatever the sizes: whole periods to each block, every vector to one, and shared memory for its sums.</summary>
    [Fact]
    public void RowsAreSharedOutWithoutGaps()
    {
        foreach (var shardSize in new[] { 1, 2, 3, 7, 8, 48, 64, 100, 127, 130, 256, 300, 511, 512, 1000, 1023, 1024 })
        {
            foreach (var shape in new[] { new CudaShardShape(shardSize, 4), new CudaShardShape(shardSize, 2) })
            {
                foreach (var (rows, columns) in new (long, long)[] { (1, 1), (1, 4096), (1, 1 << 20), (7, 30_000), (64, 11_008), (5000, 576) })
                {
                    CudaMatrix x = new(1 << 20, rows, columns, columns);
                    foreach (var split in new[] { new CudaShardLaunches(shape).SplitOfSum(x, 132), new CudaShardLaunches(shape).SplitOfAdd(x, 132) })
                    {
                        var vectors = columns / shape.Lanes;
                        Assert.Equal(CudaShardShape.Threads, (int)(split.Block.X * split.Block.Y));
                        Assert.True(split.RowBlocks * split.Block.Y >= rows);
                        Assert.True((long)split.Blocks * split.Vectors >= vectors && (split.Blocks - 1L) * split.Vectors <= vectors);
                        Assert.True(split.Blocks == 1 || split.Vectors % shape.Period == 0);
                        Assert.True(split.Threads >= Math.Min(shape.Period, CudaShardShape.Threads));
                    }
                }
            }
        }
    }

    /// <summary>Every kernel's launch, with addresses that stand for operands.</summary>
    private static IEnumerable<CudaLaunch> Launches(CudaShardLaunches launches, long rows)
    {
        CudaMatrix x = new(1 << 20, rows, 256, 256), y = new(2 << 20, rows, 128, 128), sum = new(3 << 20, rows, launches.ShardSize, launches.ShardSize), shard = new(4 << 20, launches.ShardSize, 128, 128);
        yield return launches.ShardSum(x, sum, false, launches.SplitOfSum(x, 4), 0, 0);
        yield return launches.ShardSum(x, sum, true, launches.SplitOfSum(x, 4), 0, 0);
        yield return launches.AddTiled(sum, x, launches.SplitOfAdd(x, 4));
        yield return launches.Forward(x with { Rows = 1 }, shard, y with { Rows = 1 }, sum with { Rows = 1 });
        var few = launches.Forward(x, shard, y, sum);
        yield return few with { Kernel = "forward_few_rows" };
        yield return launches.ForwardByAdapter(x, 1, 2, shard, y);
        yield return launches.Backward(y, shard, sum, x, shard, 1, 2);
    }

    internal static IEnumerable<int> ParametersOf(string ptx, string kernel)
    {
        var entry = Regex.Match(ptx, $@"\.entry {kernel}\(([^)]*)\)").Groups[1].Value;
        return Parameter().Matches(entry).Select(match => int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) / 8).ToList();
    }

    [GeneratedRegex(@"\.param \.[usbf](\d+)")]
    private static partial Regex Parameter();
}
