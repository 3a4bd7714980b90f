using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Models.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Kernels;

/// <summary>A second back end beside this library's own for an operation with a backward pass. No other test has its sizes.</summary>
public sealed unsafe class BackEndTests
{
    [Fact]
    public void It_computes_both_passes_of_what_it_takes()
    {
        using var scope = NewDisposeScope();
        KernelRegistry.Register<IGate>(new BackEnd(takes: true), DeviceType.CPU, ScalarType.Float32, size: 13);
        var gate = randn(3, 13).requires_grad_();
        var y = GatedCall.Run(gate, ones(3, 13));
        y.sum().backward();
        Assert.True(y.Equals(full([3, 13], 7f)));
        Assert.True(gate.grad!.Equals(full([3, 13], 5f)));
    }

    [Theory, InlineData(19), InlineData(48)]
    public void What_it_does_not_take_goes_to_the_next_and_to_libtorch_at_last(int size)
    {
        using var scope = NewDisposeScope();
        var backEnd = new BackEnd(takes: false);
        KernelRegistry.Register<IGate>(backEnd, DeviceType.CPU, ScalarType.Float32, size);
        var (gate, up) = (randn(3, size), randn(3, size));
        Assert.True(GatedCall.Run(gate, up).allclose(nn.functional.silu(gate) * up));
        Assert.Equal(1, backEnd.Asked);
    }

    [Fact]
    public void On_another_device_it_is_asked_and_its_results_are_made_there()
    {
        using var scope = NewDisposeScope();
        var backEnd = new BackEnd(takes: true);
        KernelRegistry.Register<IGate>(backEnd, DeviceType.META);
        var gate = randn(3, 16).to("meta");
        Assert.Equal(DeviceType.META, GatedCall.Run(gate, gate).device_type);
        Assert.Equal(1, backEnd.Asked);
    }

    private sealed class BackEnd(bool takes) : IGate
    {
        public int Asked { get; private set; }

        public bool Takes(long size, ScalarType elementType, DevicePlace place)
        {
            Asked++;
            return takes;
        }

        public void Forward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix output) => Fill(output, 7);

        public void Backward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix gradOutput, in KernelMatrix gateGradient, in KernelMatrix upGradient) => Fill(gateGradient, 5);

        private static void Fill(in KernelMatrix matrix, float value)
        {
            if (matrix.Address != 0) new Span<float>((void*)matrix.Address, (int)(matrix.Rows * matrix.Columns)).Fill(value);
        }
    }
}
