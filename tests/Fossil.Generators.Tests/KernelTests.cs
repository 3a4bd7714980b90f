using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Generators.Tests;

/// <summary>Generated kernels against the formulas written with libtorch's operations, in float64.</summary>
public class KernelTests
{
    private static readonly int[] ShardSizes = [1, 2, 3, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 48, 64, 96, 100, 127, 128, 130, 144, 256, 264, 300];

    private static readonly Lazy<IReadOnlyDictionary<int, IShardKernels>> Kernels = new(() =>
    {
        var assembly = GeneratorHarness.Run($"[assembly: FossilShardSizes({string.Join(", ", ShardSizes)})]").Load();
        return ShardSizes.ToDictionary(
            size => size,
            size => (IShardKernels)Activator.CreateInstance(assembly.GetType($"Fossil.Generated.ShardKernels{size}", throwOnError: true)!)!);
    });

    public static TheoryData<int, ScalarType> Cases()
    {
        var cases = new TheoryData<int, ScalarType>();
        foreach (var size in ShardSizes)
        {
            cases.Add(size, ScalarType.Float32);
            cases.Add(size, ScalarType.BFloat16);
        }
        return cases;
    }

    /// <summary>Whole chunks, short last chunks, less than a chunk, and enough rows for several threads.</summary>
    private static IEnumerable<(long Rows, long Columns)> Shapes(int shardSize) =>
        [(3, shardSize), (5, 4L * shardSize), (2, 7L * shardSize), (3, (9L * shardSize) + (shardSize / 2)), (2, (shardSize + 1) / 2), (1, 33L * shardSize), (700, 576), (0, shardSize)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void ShardSumAddsUpTheChunks(int shardSize, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        foreach (var (rows, columns) in Shapes(shardSize))
        {
            var input = randn(rows, columns, dtype: ScalarType.Float32).to(dtype);
            var sum = full([rows, shardSize], float.NaN, dtype: ScalarType.Float32);

            Assert.True(Kernels.Value[shardSize].TryShardSum(input, sum));

            AssertClose(ReferenceSum(input.to(ScalarType.Float64), shardSize), sum, 1e-5 * Math.Sqrt((columns / shardSize) + 1));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AddTiledAddsTheGradientToEachChunk(int shardSize, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        foreach (var (rows, columns) in Shapes(shardSize))
        {
            var gradient = randn(rows, columns, dtype: ScalarType.Float32).to(dtype);
            var shard = randn(rows, shardSize, dtype: ScalarType.Float32);
            // Rounded once: the float32 sum, then to the dtype, bit for bit.
            var expected = (gradient.to(ScalarType.Float32) + Tiled(shard, columns)).to(dtype);

            Assert.True(Kernels.Value[shardSize].TryAddTiled(shard, gradient));

            Assert.True(Same(expected, gradient), $"rows {rows}, columns {columns}");
        }
    }

    [Fact]
    public void RowsMayLieApart()
    {
        using var scope = NewDisposeScope();
        var wide = randn(6, 200);
        var input = wide.narrow(1, 8, 128);
        var sum = zeros(6, 64);

        Assert.True(Kernels.Value[64].TryShardSum(input, sum));
        AssertClose(ReferenceSum(input.to(ScalarType.Float64), 64), sum, 1e-5);

        var before = wide.clone();
        Assert.True(Kernels.Value[64].TryAddTiled(sum, input));
        Assert.True(Same(before.narrow(1, 0, 8), wide.narrow(1, 0, 8)) && Same(before.narrow(1, 136, 64), wide.narrow(1, 136, 64)));
        Assert.True(Same(before.narrow(1, 8, 128) + Tiled(sum, 128), input));
    }

    [Fact]
    public void NotANumberStaysNotANumberInBFloat16()
    {
        using var scope = NewDisposeScope();
        var gradient = full([2, 64], float.NaN).to(ScalarType.BFloat16);
        Assert.True(Kernels.Value[16].TryAddTiled(ones(2, 16), gradient));
        Assert.True(gradient.isnan().all().item<bool>());
    }

    [Fact]
    public void LaunchStubsDeclineWhatNoKernelFits()
    {
        using var scope = NewDisposeScope();
        var kernels = Kernels.Value[64];
        var sum = zeros(4, 64);
        Tensor[] inputs =
        [
            zeros(4, 128, dtype: ScalarType.Float64), zeros(4, 128, dtype: ScalarType.Float16), zeros(128, 4).t(), zeros(5, 128), zeros(2, 2, 128), zeros(4, 128, device: "meta"),
            sparse_coo_tensor(zeros([2, 1], dtype: ScalarType.Int64), ones(1), [4, 128]),
        ];

        Assert.All(inputs, input => Assert.False(kernels.TryShardSum(input, sum)));
        Assert.False(kernels.TryShardSum(zeros(4, 128), zeros(4, 32)));
        Assert.False(kernels.TryShardSum(zeros(4, 128), zeros(4, 64, dtype: ScalarType.BFloat16)));
        Assert.False(kernels.TryAddTiled(sum, zeros(1, 128).expand(4, 128)));
        Assert.Equal(64, kernels.ShardSize);
    }

    private static Tensor ReferenceSum(Tensor input, long shardSize)
    {
        var padding = (shardSize - (input.shape[1] % shardSize)) % shardSize;
        return nn.functional.pad(input, [0L, padding]).view(input.shape[0], (input.shape[1] + padding) / shardSize, shardSize).sum(1);
    }

    private static Tensor Tiled(Tensor shard, long columns) => shard.repeat(1, (columns / shard.shape[1]) + 1).narrow(1, 0, columns);

    private static bool Same(Tensor expected, Tensor actual) => expected.eq(actual).all().item<bool>();

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        if (expected.numel() == 0) return;
        var difference = (expected - actual.to(ScalarType.Float64)).abs().max().item<double>();
        Assert.True(difference <= tolerance, $"differs by {difference}");
    }
}
