using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Tests.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>A second back end beside this library's own. No other test has its shard sizes.</summary>
public sealed class BackEndTests
{
    [Fact]
    public void What_is_registered_for_a_device_a_dtype_and_a_size_is_asked_first()
    {
        using var scope = NewDisposeScope();
        const int ShardSize = 6;
        var backEnd = new BackEnd(handles: true);
        KernelRegistry.Register<IShardSum>(backEnd, DeviceType.META, ScalarType.BFloat16, ShardSize);

        ShardOperations.ShardSum(zeros(3, 12, dtype: bfloat16), ShardSize);
        ShardOperations.ShardSum(zeros(3, 12, dtype: float32, device: "meta"), ShardSize);
        ShardOperations.ShardSum(zeros(3, 14, dtype: bfloat16, device: "meta"), ShardSize + 1);
        Assert.Equal(0, backEnd.Asked);

        Assert.Equal(DeviceType.META, ShardOperations.ShardSum(zeros(3, 12, dtype: bfloat16, device: "meta"), ShardSize).device_type);
        Assert.Equal(1, backEnd.Asked);
        Assert.Same(backEnd, KernelRegistry.For<IShardSum>(ShardSize, zeros(3, 12, dtype: bfloat16, device: "meta"))[0]);
        Assert.DoesNotContain(backEnd, KernelRegistry.For<IShardSum>(ShardSize, zeros(3, 12, dtype: bfloat16)));
    }

    [Fact]
    public void What_it_computes_is_the_result()
    {
        using var scope = NewDisposeScope();
        const int ShardSize = 22;
        KernelRegistry.Register<IShardSum>(new BackEnd(handles: true), DeviceType.CPU, ScalarType.Float32, ShardSize);
        Assert.True(ShardOperations.ShardSum(zeros(3, 44), ShardSize).Equals(full([3, ShardSize], 7f)));
    }

    [Fact]
    public void Where_it_does_not_handle_an_operation_the_next_is_asked_and_libtorch_at_last()
    {
        using var scope = NewDisposeScope();
        const int ShardSize = 44;
        var backEnd = new BackEnd(handles: false);
        KernelRegistry.Register<IShardSum>(backEnd, DeviceType.CPU, size: ShardSize);
        KernelRegistry.Register<ITiledAdd>(backEnd, DeviceType.CPU, size: ShardSize);
        KernelRegistry.Register<IShardProduct>(backEnd, DeviceType.CPU, size: ShardSize);
        using var layer = new OneLinear(88, 3);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = ShardSize });
        var x = randn(4, 88, requires_grad: true);
        var before = layer.forward(x).detach();
        Assert.Equal(2, backEnd.Asked);
        layer.forward(x).sum().backward();
        Assert.Equal(5, backEnd.Asked);
        Assert.True(before.allclose(layer.forward(x)));
    }

    [Fact]
    public void Of_two_sets_of_kernels_for_a_size_neither_keeps_the_other_out()
    {
        using var scope = NewDisposeScope();
        const int ShardSize = 45;
        KernelRegistry.Register<IShardSum>(new BackEnd(handles: false), DeviceType.CPU, ScalarType.Float32, ShardSize);
        KernelRegistry.Register<IShardSum>(new BackEnd(handles: true), DeviceType.CPU, ScalarType.Float32, ShardSize);
        Assert.True(ShardOperations.ShardSum(zeros(3, 90), ShardSize).Equals(full([3, ShardSize], 7f)));
    }

    [Fact]
    public void Operands_on_several_devices_are_nobodys()
    {
        using var scope = NewDisposeScope();
        Assert.Empty(KernelRegistry.For<IShardSum>(6, zeros(3, 12), zeros(3, 6, device: "meta")));
    }

    /// <summary>Counts how often it is asked; its sums are seven.</summary>
    private sealed unsafe class BackEnd(bool handles) : IShardSum, ITiledAdd, IShardProduct
    {
        public int Asked { get; private set; }

        public bool TryShardSum(in KernelMatrix input, in KernelMatrix sum)
        {
            Asked++;
            if (handles && sum.Address != 0) new Span<float>((void*)sum.Address, (int)(sum.Rows * sum.RowStride)).Fill(7);
            return handles;
        }

        public bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient)
        {
            Asked++;
            return false;
        }

        public bool TryAdd(in KernelMatrix output, in KernelMatrix sum, in KernelMatrix shard)
        {
            Asked++;
            return false;
        }
    }
}
