using Fossil.Concurrency;
using Fossil.Tests.Adapters;
using static TorchSharp.torch;

namespace Fossil.Tests.Concurrency;

/// <summary>Who waits for whom.</summary>
public sealed class ModelGuardTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100), Long = TimeSpan.FromSeconds(20);
    private readonly OneLinear layer = new(8, 8);
    private readonly AdaptedModel adapted;

    public ModelGuardTests()
    {
        adapted = layer.AttachAdapters();
        adapted.AddAdapter("second", new FossilConfig { ShardSize = 4 });
    }

    public void Dispose()
    {
        adapted.Dispose();
        layer.Dispose();
    }

    public static TheoryData<string> Uses =>
        ["forward", "SetAdapter", "Merge", "Unmerge", "AddAdapter", "DeleteAdapter", "DisableAdapters", "UseAdapters", "Freeze", "SavePretrained", "LoadAdapter", "AddWeightedAdapter", "ConvertToLora", "UseExclusively", "step", "attach around", "TrainableParameters"];

    [Theory, MemberData(nameof(Uses))]
    public void Whatever_uses_or_changes_the_model_waits_for_another_thread_that_is_inside(string use)
    {
        using var folder = new TestData.TemporaryFolder();
        adapted.SavePretrained(folder["saved"]);
        Action action = use switch
        {
            "forward" => () => Forward(),
            "SetAdapter" => () => adapted.SetAdapter("second"),
            "Merge" => () => adapted.Merge(),
            "Unmerge" => () => adapted.Unmerge(),
            "AddAdapter" => () => adapted.AddAdapter("third", new FossilConfig { ShardSize = 2 }),
            "DeleteAdapter" => () => adapted.DeleteAdapter("second"),
            "DisableAdapters" => () => adapted.DisableAdapters().Dispose(),
            "UseAdapters" => () => adapted.UseAdapters(["second"]).Dispose(),
            "Freeze" => () => adapted.Freeze(),
            "SavePretrained" => () => adapted.SavePretrained(folder["adapter"]),
            "LoadAdapter" => () => adapted.LoadAdapter(folder["saved"], "loaded"),
            "AddWeightedAdapter" => () => adapted.AddWeightedAdapter(["default", "second"], [1, 1], "sum"),
            "ConvertToLora" => () => adapted.ConvertToLora("lora"),
            "UseExclusively" => () => layer.UseExclusively().Dispose(),
            "step" => Step,
            "attach around" => () => nn.Sequential(("part", layer)).UseExclusively().Dispose(),
            _ => () => adapted.TrainableParameters(),
        };
        OtherThread other;
        using (ModelGuard.Of(layer).Enter())
        {
            other = StartElsewhere(action);
            Assert.False(other.Ends(Short), use);
        }

        Assert.True(other.Succeeds(), $"{use}: {other.Failure}");

        void Step()
        {
            using var optimizer = adapted.CreateOptimizer();
            layer.forward(ones(1, 8)).sum().backward();
            optimizer.step();
        }
    }

    [Fact]
    public void A_thread_that_is_inside_may_enter_again()
    {
        using (layer.UseExclusively())
        using (adapted.DisableAdapters())
        using (ModelGuard.Of(layer).Enter())
        {
            Forward();
            using (adapted.DisableAdapters()) Forward();
        }

        Assert.True(StartElsewhere(Forward).Succeeds());
    }

    [Fact]
    public void Adapters_that_one_thread_disables_stay_on_for_the_others()
    {
        TinyModel.Randomize(adapted);
        using var scope = NewDisposeScope();
        var input = ones(2, 8);
        float[] Text() => [.. layer.forward(input).data<float>()];
        var on = Text();
        float[] off;
        using (adapted.DisableAdapters()) off = Text();
        Assert.NotEqual(on, off);
        Parallel.For(0, 8, new() { MaxDegreeOfParallelism = 4 }, i =>
        {
            for (var round = 0; round < 50; round++)
            {
                using var inner = NewDisposeScope();
                using var noGrad = no_grad();
                using var without = i % 2 == 0 ? adapted.DisableAdapters() : null;
                Assert.Equal(i % 2 == 0 ? off : on, Text());
            }
        });
    }

    [Fact]
    public async Task A_scope_goes_with_its_async_flow_from_thread_to_thread()
    {
        var disabled = adapted.DisableAdapters();
        var other = StartElsewhere(Forward);
        await Task.Run(Forward);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(Forward)));
        await Task.Delay(Short);
        Assert.False(other.Ends(TimeSpan.Zero));

        // Closed by a thread that has no part in it.
        Assert.True(StartElsewhere(disabled.Dispose).Succeeds());
        Assert.True(other.Succeeds());
        Forward();
    }

    [Fact]
    public void Two_models_do_not_wait_for_each_other()
    {
        using var second = new OneLinear(8, 8);
        using var secondAdapted = second.AttachAdapters();
        using (layer.UseExclusively()) Assert.True(StartElsewhere(() => second.forward(ones(1, 8))).Succeeds());
    }

    [Fact]
    public void Threads_that_would_wait_for_each_other_for_ever_get_an_error()
    {
        using var second = new OneLinear(8, 8);
        using var both = new Barrier(2);
        var attempts = new[] { (layer, second), (second, layer) }.Select(models => StartElsewhere(() =>
        {
            using var inside = ModelGuard.Of(models.Item1).Enter();
            both.SignalAndWait();
            using var other = ModelGuard.Of(models.Item2).Enter();
        })).ToArray();
        Assert.All(attempts, attempt => Assert.True(attempt.Ends(Long)));
        Assert.IsType<AdapterStateException>(Assert.Single(attempts, attempt => attempt.Failure is not null).Failure);
    }

    [Fact]
    public void A_forgotten_scope_is_an_error_for_who_waits()
    {
        var limit = ModelGuard.LeaseIdleLimit;
        ModelGuard.LeaseIdleLimit = TimeSpan.FromMilliseconds(200);
        try
        {
            using var forgotten = adapted.DisableAdapters();
            var other = StartElsewhere(Forward);
            Assert.True(other.Ends(Long));
            Assert.Contains("DisableAdapters", Assert.IsType<AdapterStateException>(other.Failure).Message);
        }
        finally
        {
            ModelGuard.LeaseIdleLimit = limit;
        }

        Forward();
    }

    [Fact]
    public void Parts_of_one_model_that_had_guards_of_their_own_wait_for_each_other()
    {
        using var second = new OneLinear(8, 8);
        using var secondAdapted = second.AttachAdapters();
        using var whole = nn.Sequential(("first", layer), ("second", second));
        OtherThread[] waiting;
        using (whole.UseExclusively())
        {
            waiting = [StartElsewhere(Forward), StartElsewhere(() => second.forward(ones(1, 8)))];
            Assert.All(waiting, thread => Assert.False(thread.Ends(Short)));
        }

        // Before the model goes: they use it.
        Assert.All(waiting, thread => Assert.True(thread.Succeeds()));
    }

    [Fact]
    public void A_recomputed_segment_does_not_wait_for_the_thread_that_waits_for_its_backward_pass()
    {
        // Autograd runs the backward pass on a thread of its own where tensors are on a GPU.
        using var inside = ModelGuard.Of(layer).Enter();
        Assert.True(StartElsewhere(() =>
        {
            using var pass = ModelGuard.Backward(ModelGuard.Of(layer));
            Forward();
        }).Succeeds());
    }

    private void Forward()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        layer.forward(ones(1, 8));
    }

    private static OtherThread StartElsewhere(Action action) => new(action);

    /// <summary>As another request: it knows nothing of what this flow has opened.</summary>
    private sealed class OtherThread
    {
        private readonly Thread thread;

        public OtherThread(Action action)
        {
            thread = new Thread(() => Failure = Record.Exception(action)) { IsBackground = true };
            thread.UnsafeStart();
        }

        public Exception? Failure { get; private set; }

        public bool Ends(TimeSpan within) => thread.Join(within);

        public bool Succeeds() => Ends(Long) && Failure is null;
    }
}
