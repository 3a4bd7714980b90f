using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>W + ΔW in one pass against float64: shards narrower and wider than a panel, row blocks in one part and in several; and by one thread as by several.</summary>
public sealed class ChangedBlocksTests
{
    [SkippableTheory]
    [InlineData(16, 16, 16)]
    [InlineData(96, 144, 48)]
    [InlineData(192, 576, 64)]
    [InlineData(160, 320, 80)]
    public void Changed_blocks_equal_float64(long outFeatures, long inFeatures, long size)
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no such instructions.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(12, CPU);
        var weight = randn([outFeatures, inFeatures], dtype: float32, generator: generator).to(bfloat16);
        var shard = randn([outFeatures / size, size, size], dtype: float32, generator: generator);
        Tensor Tiled(Tensor product) => (product + weight.to(float64).view(outFeatures / size, size, inFeatures / size, size) + shard.to(float64).unsqueeze(2)).view(outFeatures, inFeatures);
        var exact = Tiled(weight.to(float64).view(outFeatures / size, inFeatures, size).bmm(shard.to(bfloat16).to(float64)).view(outFeatures / size, size, inFeatures / size, size));

        var changed = Changed(weight, shard, threads: 1);

        // Half a unit in the last place of bfloat16, and what sums in float32 leave.
        Assert.True(((changed.to(float64) - exact).abs() <= (exact.abs() / 256) + 1e-5).all().item<bool>());
        foreach (var threads in new[] { 2, 3 }) Assert.True(Changed(weight, shard, threads).equal(changed).all().item<bool>());
    }

    [Fact]
    public void What_is_no_whole_vector_or_not_without_gaps_is_left_alone()
    {
        using var scope = NewDisposeScope();
        var (weight, kernel) = (zeros(24, 48, dtype: bfloat16), new ChangedBlocks());
        Assert.False(kernel.TryApply(Of(empty_like(weight)), Of(weight), Of(zeros(24, 24))));
        Assert.False(kernel.TryApply(Of(zeros(16, 32, dtype: bfloat16)), Of(weight.narrow(0, 0, 16).narrow(1, 0, 32)), Of(zeros(16, 16))));
        Assert.False(kernel.TryApply(Of(zeros(16, 32)), Of(zeros(16, 32)), Of(zeros(16, 16))));
    }

    private static Tensor Changed(Tensor weight, Tensor shard, int threads)
    {
        var before = get_num_threads();
        try
        {
            set_num_threads(threads);
            var changed = empty_like(weight);
            Assert.True(new ChangedBlocks().TryApply(Of(changed), Of(weight), Of(shard)));
            return changed;
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor);
}
