using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What interceptors call.</summary>
public class DispatchTests
{
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
}
