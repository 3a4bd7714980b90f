using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>Products with W + tile(D), formed a panel at a time, against float64: depths that are no whole blocks, rows that are no whole blocks, shards wider and narrower than a panel.</summary>
public sealed class TiledWeightProductTests
{
    private static readonly TiledWeightProduct Products = new();

    public static TheoryData<long, long, long, int> Sizes()
    {
        var sizes = new TheoryData<long, long, long, int>();
        foreach (var rows in new long[] { 1, 66, 131 })
        {
            foreach (var (inFeatures, outFeatures) in new[] { (64L, 128L), (192L, 64L), (576L, 320L) })
            {
                foreach (var shardSize in new[] { 6, 16, 64, 192 })
                {
                    if (inFeatures % shardSize == 0) sizes.Add(rows, inFeatures, outFeatures, shardSize);
                }
            }
        }
        return sizes;
    }

    [SkippableTheory]
    [MemberData(nameof(Sizes))]
    public void Both_products_equal_float64(long rows, long inFeatures, long outFeatures, int shardSize)
    {
        Skip.IfNot(TiledWeightProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(7, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (x, weight, shard, gradOutput) = (Random(rows, inFeatures), Random(outFeatures, inFeatures), Random(shardSize, outFeatures), Random(rows, outFeatures));
        var sum = weight.to(float64) + shard.to(float64).t().repeat(1, inFeatures / shardSize);

        var output = empty(rows, outFeatures);
        Assert.True(Products.TryProduct(Of(output), Of(x), Of(weight), Of(shard)));
        AssertNear(x.to(float64).mm(sum.t()), output);

        var inputGradient = empty(rows, inFeatures);
        Assert.Equal(shardSize % 16 == 0, Products.TryInputGradient(Of(inputGradient), Of(gradOutput), Of(weight), Of(shard.t().contiguous())));
        if (shardSize % 16 != 0) return;
        AssertNear(gradOutput.to(float64).mm(sum), inputGradient);
        Assert.True(Products.TryInputGradient(Of(inputGradient), Of(gradOutput), Of(weight), Of(shard.t().contiguous()), adds: true));
        AssertNear(gradOutput.to(float64).mm(sum) * 2, inputGradient);
    }

    [Theory]
    [InlineData(16, 576, 576, 1, false)]
    [InlineData(17, 576, 576, 1, true)]
    [InlineData(44, 576, 192, 2, false)]
    [InlineData(45, 576, 192, 2, true)]
    [InlineData(128, 192, 576, 16, false)]
    [InlineData(1024, 576, 192, 16, true)]
    [InlineData(0, 576, 576, 1, false)]
    public void It_pays_from_so_many_rows_on_and_where_there_are_panels_for_all_threads(long rows, long inFeatures, long outFeatures, int threads, bool expected) =>
        Assert.Equal(expected, TiledWeightCost.Pays(rows, inFeatures, outFeatures, threads));

    [Fact]
    public void What_is_no_whole_panel_or_of_another_dtype_is_left_alone()
    {
        using var scope = NewDisposeScope();
        Assert.False(Products.TryProduct(Of(zeros(8, 96)), Of(zeros(8, 64)), Of(zeros(96, 64)), Of(zeros(16, 96))));
        Assert.False(Products.TryProduct(Of(zeros(8, 64)), Of(zeros(8, 64)), Of(zeros(64, 64, dtype: bfloat16)), Of(zeros(16, 64))));
        Assert.False(Products.TryProduct(Of(zeros(8, 64)), Of(zeros(8, 64)), Of(zeros(64, 64)), Of(zeros(24, 64))));
    }

    /// <summary>The layer, with and without a bias, with rows enough for the kernel: y and all gradients.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_layer_of_many_rows_equals_float64(bool hasBias)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(8, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        using var layer = new OneLinear(128, 192, hasBias);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 64, TargetModules = ["proj"] });
        var shard = adapted.TrainableParameters()[0].Parameter;
        using (no_grad())
        {
            layer.proj.weight!.copy_(Random(192, 128));
            layer.proj.bias?.copy_(Random(192));
            shard.copy_(Random(64, 192));
        }

        var (x, gradOutput) = (Random(2, 40, 128).requires_grad_(true), Random(2, 40, 192));
        var y = layer.forward(x);
        y.backward([gradOutput]);

        var wideX = x.detach().to(float64).requires_grad_(true);
        var wideShard = shard.detach().to(float64).requires_grad_(true);
        var expected = nn.functional.linear(wideX, layer.proj.weight.detach().to(float64), layer.proj.bias?.detach().to(float64)) + wideX.view(2, 40, 2, 64).sum(2).matmul(wideShard);
        expected.backward([gradOutput.to(float64)]);
        AssertNear(expected, y);
        AssertNear(wideX.grad!, x.grad!);
        AssertNear(wideShard.grad!, shard.grad!);
    }

    private static KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor);

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(((actual.to(float64) - expected).abs().max() / expected.abs().max()).item<double>(), 0, 1e-5);
}
