using System.Text.RegularExpressions;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

[assembly: Fossil.FossilShardSizes(24, 1023)]

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
        var all = Launches(CudaShardRegistry.Of(shardSize), source.Element.Size, [(3, 256, 128, 128), (1, 256, 128, 128)]).Launches;

        Assert.Equal(KernelSource.KernelsOf(source.Text).Order(), all.Select(launch => launch.Kernel).Distinct().Order());
        Assert.All(all, launch => Assert.Equal(ParametersOf(ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size)));
    }

    /// <summary>What the generator wrote into this assembly says what the run time's own class says, source and launches, for whatever operands.</summary>
    [Theory]
    [InlineData(16)]
    [InlineData(24)]
    [InlineData(1023)]
    public void GeneratedKernelsAreTheRunTimes(int shardSize)
    {
        var generated = CudaShardRegistry.Of(shardSize);
        Assert.Equal($"Fossil.Generated.CudaShardKernels{shardSize}", generated.GetType().FullName);
        CudaShardStubs own = new(shardSize);
        Assert.All(CudaElement.All, element => Assert.Equal(CudaShardSource.Of(shardSize, element), generated.Source(Enum.Parse<ScalarType>(element.Name))));
        Assert.All(new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16, ScalarType.Float64, ScalarType.Int32 }, type => Assert.Equal(own.Source(type), generated.Source(type)));

        (long, long, long, long)[] operands =
            [(0, 64, 64, 64), (1, 4096, 4096, 4096), (2, 11, 9, 3), (8, 4096, 512, 512), (63, 30_000, 1, 1), (64, 4096, 4096, 64), (65, 4096, 4096, 4096), (5000, 576, 1536, 1536), (7, 1L << 32, 4, 4), (3_000_000_000, 8, 8, 8), (5, 0, 16, 16)];
        foreach (var size in new[] { sizeof(float), sizeof(ushort) })
        {
            var (ours, theirs) = (Launches(own, size, operands), Launches(generated, size, operands));
            Assert.Equal(ours.Scratches, theirs.Scratches);
            Assert.Equal(ours.Launches.Select(Text), theirs.Launches.Select(Text));
        }

        static string Text(CudaLaunch launch) => $"{launch.Kernel} {launch.Grid} {launch.Block} {string.Join(", ", launch.Arguments.Select(argument => (argument.Bits, argument.Size)))}";
    }

    [Fact]
    public void AShardSizeThatNobodyNamedHasTheRunTimesKernels()
    {
        Assert.IsType<CudaShardStubs>(CudaShardRegistry.Of(17));
        Assert.Same(CudaShardRegistry.Of(17), CudaShardRegistry.Of(17));
    }

    /// <summary>Offsets are 64-bit products of 64-bit numbers; a grid counts blocks, which are fewer. A row's columns are counted with 32 bits.</summary>
    [Fact]
    public void MatricesOfMoreThanTwoToTheThirtyOneElementsHaveLaunches()
    {
        CudaShardStubs stubs = new(64);
        RecordingQueue queue = new(132);
        CudaMatrix x = new(1 << 20, 3_000_000, 4096, 1L << 33, 2), sum = new(2 << 20, 3_000_000, 64, 64);
        Assert.True(stubs.TryShardSum(queue, x, sum) && stubs.TryAddTiled(queue, sum, x, false, true));
        Assert.All(queue.Launches, launch =>
        {
            Assert.True((long)launch.Grid.X * launch.Block.Y >= x.Rows && launch.Grid.Y == 1);
            Assert.Contains((3_000_000L, 8), launch.Arguments.Select(argument => (argument.Bits, argument.Size)));
            Assert.Contains((1L << 33, 8), launch.Arguments.Select(argument => (argument.Bits, argument.Size)));
        });
        Assert.False(stubs.TryShardSum(queue, x with { Columns = 3_000_000_000 }, sum));
        Assert.False(stubs.TryForward(queue, x with { Rows = 2 }, new(1 << 20, 64, int.MaxValue, int.MaxValue), new(1 << 20, 2, int.MaxValue, int.MaxValue, 2), CudaMatrix.None, false, true));
        Assert.Equal(2, queue.Launches.Count);
    }

    [Fact]
    public void StubsDeclineWhatTheirKernelsDoNotTake()
    {
        CudaShardStubs stubs = new(16);
        RecordingQueue queue = new(132);
        CudaMatrix x = new(1 << 20, 4, 64, 64, 2), y = new(1 << 20, 4, 32, 32, 2), sum = new(1 << 20, 4, 16, 16), shard = new(1 << 20, 16, 32, 32);
        Assert.False(stubs.TryShardSum(queue, x, sum with { Columns = 8 }));
        Assert.False(stubs.TryShardSum(queue, x, sum with { Rows = 3 }));
        Assert.False(stubs.TryAddTiled(queue, sum with { Rows = 3 }, x, false, true));
        foreach (var (one, d, other) in new[] { (x, shard with { Rows = 8 }, y), (x, shard with { Columns = 24 }, y), (x, shard, y with { ElementSize = 4 }), (x, shard, y with { Rows = 3 }), (x with { Rows = 65 }, shard, y with { Rows = 65 }), (x, shard with { Columns = 0 }, y) })
        {
            Assert.False(stubs.TryForward(queue, one, d, other, CudaMatrix.None, false, true));
            Assert.False(stubs.TryBackward(queue, other, d, sum with { Rows = other.Rows }, one, d, true, true));
        }
        Assert.False(stubs.TryBackward(queue, y, shard, sum with { Columns = 8 }, x, shard, true, true));
        Assert.Empty(queue.Launches);
        // Nothing to do is done without a launch.
        Assert.True(stubs.TryShardSum(queue, x with { Rows = 0 }, sum with { Rows = 0 }) && stubs.TryForward(queue, x with { Rows = 0 }, shard, y with { Rows = 0 }, CudaMatrix.None, true, true) && stubs.TryAddTiled(queue, sum, x with { Columns = 0 }, true, true));
        Assert.Empty(queue.Launches);
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
                    CudaMatrix x = new(1 << 20, rows, columns, columns, shape.ElementSize);
                    foreach (var fewest in new[] { 4, 8 })
                    {
                        var split = CudaRowSplit.Of(x, shape.Period, CudaShardShape.Threads, fewest, 132);
                        var vectors = columns / x.Lanes;
                        Assert.Equal(CudaShardShape.Threads, split.Block.X * split.Block.Y);
                        Assert.True(split.RowBlocks * split.Block.Y >= rows);
                        Assert.True((long)split.Blocks * split.Vectors >= vectors && (split.Blocks - 1L) * split.Vectors <= vectors);
                        Assert.True(split.Blocks == 1 || split.Vectors % shape.Period == 0);
                        Assert.True(split.Block.X >= Math.Min(shape.Period, CudaShardShape.Threads));
                    }
                }
            }
        }
    }

    /// <summary>Every stub's launches for operands of these sizes (rows, columns of x, of y, of D), with addresses that stand for them.</summary>
    private static RecordingQueue Launches(ICudaShardKernels stubs, int elementSize, IEnumerable<(long Rows, long Columns, long Outputs, long Width)> operands)
    {
        RecordingQueue queue = new(132);
        var r = stubs.ShardSize;
        foreach (var (rows, columns, outputs, width) in operands)
        {
            CudaMatrix x = new(1 << 20, rows, columns, columns, elementSize), y = new(2 << 20, rows, outputs, outputs, elementSize), sum = new(3 << 20, rows, r, r), shard = new(4 << 20, r, width, width);
            stubs.TryShardSum(queue, x, sum);
            stubs.TryShardSum(queue, x, sum with { ElementSize = 2 });
            stubs.TryForwardByAdapter(queue, x, 1 << 20, 2 << 20, shard, y);
            foreach (var (one, other) in new[] { (false, false), (false, true), (true, false), (true, true) })
            {
                stubs.TryAddTiled(queue, sum, x, one, other);
                stubs.TryForward(queue, x, shard, y, sum, one, other);
                stubs.TryBackward(queue, y, shard, sum, x, shard, one, other);
                stubs.TryBackward(queue, y, shard, sum, CudaMatrix.None, shard, one, other);
                stubs.TryBackward(queue, y, shard, sum, x, CudaMatrix.None, one, other);
            }
        }
        return queue;
    }

    internal static IEnumerable<int> ParametersOf(string ptx, string kernel)
    {
        var entry = Regex.Match(ptx, $@"\.entry {kernel}\(([^)]*)\)").Groups[1].Value;
        return Parameter().Matches(entry).Select(match => int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) / 8).ToList();
    }

    [GeneratedRegex(@"\.param \.[usbf](\d+)")]
    private static partial Regex Parameter();
}
