using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>Sums of products of bfloat16 against float64: whole panels and less, odd rows, depths with and without whole vectors, all forms of the right factor; and by one thread as by several.</summary>
public sealed class RoundedProductTests
{
    /// <summary>Rows, depth, columns.</summary>
    public static TheoryData<long, long, long> Shapes => new()
    {
        { 1, 8, 16 }, { 7, 40, 64 }, { 64, 64, 80 }, { 65, 576, 192 }, { 130, 1000, 144 }, { 33, 1544, 32 },
    };

    [SkippableTheory, MemberData(nameof(Shapes))]
    public void A_product_equals_float64(long rows, long depth, long columns)
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        var left = Random(generator, rows, depth).to(bfloat16);
        foreach (var right in (Tensor[])[Random(generator, depth, columns), Random(generator, columns, depth).t()])
        {
            // Of strides that are not the width, too.
            foreach (var given in (Tensor[])[right, right.to(bfloat16), cat([right, right], 1).narrow(1, 0, columns)])
            {
                var expected = left.to(float64).mm(given.to(bfloat16).to(float64));
                AssertNear(expected * 1.5, ProductSum.Of(left, given, float32, 1.5), 1e-5);
                AssertNear(expected, ProductSum.Of(left, given, bfloat16), 1.0 / 256);
            }
        }
    }

    [SkippableFact]
    public void A_sum_of_products_and_a_tile_is_rounded_once()
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(2, CPU);
        var (x, w) = (Random(generator, 70, 96).to(bfloat16), Random(generator, 192, 96).to(bfloat16));
        var (s, d, h, b) = (Random(generator, 70, 16).to(bfloat16), Random(generator, 16, 64), Random(generator, 70, 8).to(bfloat16), Random(generator, 192, 8));
        foreach (var tile in (Tensor[])[Random(generator, 70, 48), Random(generator, 70, 192)])
        {
            ProductSum sum = new() { Tile = tile };
            sum.Add(h, b.t(), 3);
            sum.Add(s, d);
            sum.Add(x, w.t());
            sum.Add(h, b.t(), 0.5);
            var y = empty(70, 192, dtype: bfloat16);
            sum.WriteTo(y);
            Tensor Wide(Tensor tensor) => tensor.to(bfloat16).to(float64);
            var expected = (Wide(h).mm(Wide(b).t()) * 3.5) + Wide(s).mm(Wide(d)).repeat(1, 3) + Wide(x).mm(Wide(w).t()) + tile.to(float64).repeat(1, 192 / tile.size(1));
            // As far as half of the last place, and what float32 adds up on the way.
            Assert.InRange(((y.to(float64) - expected).abs() / (expected.abs() + 1)).max().item<double>(), 0, 1.01 / 256);
        }
    }

    [SkippableFact]
    public void Rows_come_out_the_same_by_one_thread_and_by_several_and_among_others()
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var (left, right) = (Random(generator, 200, 320).to(bfloat16), Random(generator, 320, 208).to(bfloat16));
        var several = ProductSum.Of(left, right, float32);
        var threads = get_num_threads();
        set_num_threads(1);
        try
        {
            Assert.Equal(several.data<float>().ToArray(), ProductSum.Of(left, right, float32).data<float>().ToArray());
        }
        finally
        {
            set_num_threads(threads);
        }

        Assert.Equal(several.narrow(0, 3, 90).contiguous().data<float>().ToArray(), ProductSum.Of(left.narrow(0, 3, 90), right, float32).data<float>().ToArray());
    }

    [SkippableFact]
    public void What_does_not_fit_is_left_to_libtorch()
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        // Odd depths, columns that are no whole vectors, no rows, float16.
        foreach (var (rows, depth, columns, dtype) in ((long, long, long, ScalarType)[])[(20, 7, 32, bfloat16), (20, 8, 7, bfloat16), (0, 8, 16, bfloat16), (20, 8, 16, float16)])
        {
            var (left, right) = (Random(generator, rows, depth).to(dtype), Random(generator, depth, columns));
            AssertNear(left.to(float64).mm(right.to(dtype).to(float64)), ProductSum.Of(left, right, dtype), 1.0 / 256);
        }
    }

    private static Tensor Random(Generator generator, params long[] shape) => randn(shape, dtype: float32, generator: generator);

    private static void AssertNear(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        if (expected.numel() > 0) Assert.InRange((actual.to(float64) - expected).abs().max().item<double>() / expected.abs().max().item<double>(), 0, tolerance);
    }
}
