using System.Diagnostics;
using Fossil.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What interceptors call.</summary>
public class DispatchTests
{
    [Fact]
    public void A_module_without_adapter_costs_a_look_up_and_no_allocation()
    {
        using var model = new OneLinear(8, 8);
        using var adapted = model.AttachAdapters();
        using var other = new Echo();
        using var input = zeros(1);
        for (var i = 0; i < 1000; i++) AdapterDispatch.Forward(other, input);

        const int Calls = 200_000;
        var best = double.MaxValue;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        for (var attempt = 0; attempt < 5; attempt++)
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < Calls; i++) AdapterDispatch.Forward(other, input);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Calls);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - allocated);
        Assert.True(best < 100, $"{best:F1} ns a call");
    }

    [Fact]
    public void Call_runs_the_hooks_of_the_target_around_the_adapted_pass()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(8, 8);
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var calls = new List<string>();
        model.proj.register_forward_pre_hook(_ => calls.Add("module pre"));
        model.proj.register_forward_pre_hook((_, x) =>
        {
            calls.Add("pre");
            return x * 2;
        });
        model.proj.register_forward_hook((_, _, y) =>
        {
            calls.Add("post");
            return y + 1;
        });
        model.proj.register_forward_hook(_ => calls.Add("module post"));

        var x = randn(3, 8);
        var called = AdapterDispatch.Call(model.proj, x);
        Assert.Equal(["module pre", "pre", "post", "module post"], calls);
        Assert.True(called.allclose(AdapterDispatch.Forward(model.proj, x * 2) + 1));
        using (adapted.DisableAdapters()) Assert.True(AdapterDispatch.Call(model.proj, x).allclose(model.proj.call(x)));
    }

    private sealed class Echo() : nn.Module<Tensor, Tensor>(nameof(Echo))
    {
        public override Tensor forward(Tensor input) => input;
    }
}
