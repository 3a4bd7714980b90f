using System.Diagnostics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What adapters cost: time where there is none, tensors where there are.</summary>
public class CostTests
{
    [Fact]
    public void A_module_without_adapter_costs_a_look_up_and_no_allocation()
    {
        using var model = new OneLinear(8, 8);
        using var adapted = model.AttachAdapters();
        using var other = new Echo();
        using var input = zeros(1);
        for (var i = 0; i < 1000; i++) AdapterDispatch.Forward(other, input);

        const int Calls = 2_000;
        var best = double.MaxValue;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        for (var attempt = 0; attempt < 500; attempt++)
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < Calls; i++) AdapterDispatch.Forward(other, input);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Calls);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - allocated);
        Assert.True(best < 100, $"{best:F1} ns a call");
    }

    [Fact]
    public void A_step_leaves_no_tensor_behind_without_a_dispose_scope()
    {
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        using var tokens = TinyModel.Tokens();
        using var optimizer = adapted.CreateOptimizer();
        long before = 0;
        for (var step = 0; step < 6; step++)
        {
            if (step == 2) before = Tensor.TotalCount;
            using var loss = model.Loss(tokens);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
        }

        Assert.InRange(Tensor.TotalCount, 0, before + 4);
    }

    [Fact]
    public void A_call_from_compiled_code_leaves_no_tensor_behind_without_a_dispose_scope()
    {
        using var model = new Mlp();
        using var adapted = model.AttachAdapters();
        using var input = randn(3, 8);
        long before = 0;
        for (var call = 0; call < 6; call++)
        {
            if (call == 2) before = Tensor.TotalCount;
            using var output = model.forward(input);
        }
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    [Theory]
    [InlineData(FossilVariant.Balance)]
    [InlineData(FossilVariant.Mini)]
    [InlineData(FossilVariant.Bat)]
    public void A_layer_leaves_no_tensor_behind_without_a_dispose_scope(FossilVariant variant)
    {
        using var layer = LifeTests.Adapted(variant, out var adapted);
        using var _ = adapted;
        using var x = randn(4, 8, requires_grad: true);
        long before = 0;
        for (var step = 0; step < 6; step++)
        {
            if (step == 2) before = Tensor.TotalCount;
            using var y = layer.forward(x);
            using var sum = y.sum();
            sum.backward();
        }

        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    private sealed class Echo() : nn.Module<Tensor, Tensor>(nameof(Echo))
    {
        public override Tensor forward(Tensor input) => input;
    }
}
