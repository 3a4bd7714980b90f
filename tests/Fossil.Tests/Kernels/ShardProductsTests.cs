using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>The products of a shard against float64: widths that are no whole panels, rows that are no whole blocks, both dtypes.</summary>
public sealed class ShardProductsTests
{
    private static readonly ShardProducts Products = new();

    public static TheoryData<long, long, int, ScalarType> Sizes()
    {
        var sizes = new TheoryData<long, long, int, ScalarType>();
        foreach (var rows in new long[] { 1, 63, 130 })
        {
            foreach (var width in new long[] { 64, 100, 576 })
            {
                foreach (var shardSize in new[] { 1, 6, 64 })
                {
                    sizes.Add(rows, width, shardSize, ScalarType.Float32);
                    sizes.Add(rows, width, shardSize, ScalarType.BFloat16);
                }
            }
        }
        return sizes;
    }

    [SkippableTheory]
    [MemberData(nameof(Sizes))]
    public void Products_equal_float64(long rows, long width, int shardSize, ScalarType dtype)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (y, sum, shard) = (Random(rows, width).to(dtype), Random(rows, shardSize), Random(shardSize, width));
        var (wide, wideSum, wideShard) = (y.to(float64), sum.to(float64), shard.to(float64));

        var added = y.clone();
        Assert.True(Products.TryAdd(Of(added), Of(sum), Of(shard)));
        // In bfloat16 one rounding; in float32 what a sum of shardSize products rounds.
        AssertNear(wide + wideSum.mm(wideShard), added, dtype == float32 ? 1e-5 : 1.0 / 256);

        var shardGradient = empty(shardSize, width);
        Assert.True(Products.TryShardGradient(Of(y), Of(sum), Of(shardGradient)));
        AssertNear(wideSum.t().mm(wide), shardGradient, 1e-5);

        var sumGradient = empty(rows, shardSize);
        Assert.Equal(width % 16 == 0, Products.TrySumGradient(Of(y), Of(sumGradient), Of(shard)));
        if (width % 16 == 0) AssertNear(wide.mm(wideShard.t()), sumGradient, 1e-5);
    }

    [SkippableTheory]
    [InlineData(1, 576, 192, 64, ScalarType.BFloat16)]
    [InlineData(3, 96, 200, 32, ScalarType.Float32)]
    [InlineData(4, 64, 64, 16, ScalarType.BFloat16)]
    public void A_few_rows_at_once_equal_sum_and_product(long rows, long inFeatures, long outFeatures, int shardSize, ScalarType dtype)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (x, y, shard) = (Random(rows, inFeatures).to(dtype), Random(rows, outFeatures).to(dtype), Random(shardSize, outFeatures));
        var expected = y.to(float64) + x.to(float64).view(rows, -1, shardSize).sum(1).mm(shard.to(float64));

        Assert.True(Products.TryAddOfFewRows(Of(y), Of(x), Of(shard)));
        AssertNear(expected, y, dtype == float32 ? 1e-5 : 1.0 / 256);
    }

    [SkippableTheory]
    [InlineData(576, 192, 64)]
    [InlineData(96, 200, 32)]
    [InlineData(1536, 64, 16)]
    public void Base_and_adapter_of_one_row_equal_float64(long inFeatures, long outFeatures, int shardSize)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (x, weight, shard) = (Random(1, inFeatures).to(bfloat16), Random(outFeatures, inFeatures).to(bfloat16), Random(shardSize, outFeatures));
        var y = empty(1, outFeatures, dtype: bfloat16);

        Assert.True(new OneRowProduct().TryRun(Of(y), Of(x), Of(weight), Of(shard)));
        var wide = x.to(float64);
        // Two roundings: of the base, and of the sum.
        AssertNear(wide.mm(weight.to(float64).t()) + wide.view(1, -1, shardSize).sum(1).mm(shard.to(float64)), y, 2.0 / 256);
    }

    private static KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor);

    private static void AssertNear(Tensor expected, Tensor actual, double tolerance) =>
        Assert.InRange(((actual.to(float64) - expected).abs().max() / expected.abs().max()).item<double>(), 0, tolerance);
}
