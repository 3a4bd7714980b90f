using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

// 8 and 32 are sizes of the golden layers, which so run through kernels; others run through libtorch's operations. No class names 6.
[assembly: Fossil.FossilShardSizes(6, 8, 32)]

namespace Fossil.Tests.Kernels;

/// <summary>Kernels belong to a shard size, not to a class: those that any assembly brings are used by every layer.</summary>
public class NamedShardSizesTests
{
    [Theory]
    [InlineData(6)]
    [InlineData(8)]
    [InlineData(32)]
    public void A_size_that_only_the_assembly_names_has_kernels(int shardSize) => Assert.Equal(shardSize, ShardKernelRegistry.Find(shardSize)!.ShardSize);

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Its_results_are_those_of_libtorchs_operations(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var x = randn(7, 48).to(dtype);
        var (sum, gradient, other) = (empty(7, 6), x.clone(), x.clone());
        var shard = randn(7, 6);

        ShardOperations.SumByOperations(x, sum);
        Assert.True(sum.allclose(ShardOperations.ShardSum(x, 6), rtol: 1e-5, atol: 1e-5));
        ShardOperations.AddTiledByOperations(gradient, shard);
        ShardOperations.AddTiled(other, shard, 6);
        Assert.True(gradient.Equals(other));
    }

    [Fact]
    public void A_layer_finds_kernels_that_another_assembly_brings_later()
    {
        using var scope = NewDisposeScope();
        // No other test has this size.
        const int ShardSize = 11;
        using var layer = new OneLinear(22, 3);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = ShardSize });
        var x = randn(4, 22, requires_grad: true);
        var before = layer.forward(x);

        var (first, second) = (new CountingKernels(ShardSize), new CountingKernels(ShardSize));
        ShardKernelRegistry.Register(first);
        ShardKernelRegistry.Register(second);
        var after = layer.forward(x);
        after.sum().backward();

        Assert.True(before.allclose(after));
        Assert.Equal((1, 1), (first.Sums, first.Additions));
        Assert.Equal((0, 0), (second.Sums, second.Additions));
    }

    /// <summary>Declines, so that libtorch's operations run, and counts how often it was asked.</summary>
    private sealed class CountingKernels(int shardSize) : IShardKernels
    {
        public int ShardSize => shardSize;

        public int Sums { get; private set; }

        public int Additions { get; private set; }

        public bool TryShardSum(Tensor input, Tensor sum)
        {
            Sums++;
            return false;
        }

        public bool TryAddTiled(Tensor shardGradient, Tensor inputGradient)
        {
            Additions++;
            return false;
        }
    }
}
