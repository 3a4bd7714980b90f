using Fossil.CompilerServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What TorchSharp does, and a user of this library must not notice. The first test of each pair, where there is one, shows that TorchSharp still does it.</summary>
public class TorchSharpTrapTests
{
    [Fact]
    public void A_parameter_dies_with_the_dispose_scope_it_was_made_in_but_not_an_adapters()
    {
        using var plain = new Holder();
        using (NewDisposeScope()) plain.register_parameter("lost", new Parameter(zeros(2)));
        Assert.Empty(plain.named_parameters());

        using var model = new TinyModel();
        using var outer = NewDisposeScope();
        AdaptedModel adapted;
        using (NewDisposeScope())
        {
            adapted = model.AttachAdapters();
            adapted.AddAdapter("second", new FossilConfig { ShardSize = 2, TargetModules = ["q_proj"] });
            TinyModel.Randomize(adapted);
        }

        using (adapted)
        {
            Assert.Equal(10, model.named_parameters().Count(entry => entry.name.Contains("miss_block", StringComparison.Ordinal)));
            adapted.Merge(keepBase: true);
            using (NewDisposeScope()) adapted.Unmerge();
            Assert.All(adapted.TrainableParameters(), entry => Assert.False(entry.Parameter.IsInvalid));
        }
    }

    [Fact]
    public void A_projection_in_two_places_gets_one_adapter_and_the_model_can_still_be_moved()
    {
        using var scope = NewDisposeScope();
        using var model = new SharedProjection();
        using var adapted = model.AttachAdapters();
        Assert.Single(adapted.TrainableParameters());
        model.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, adapted.TrainableParameters().Single().Parameter.dtype);
        model.forward(randn(2, 8, dtype: ScalarType.Float64)).sum().backward();
    }

    [Fact]
    public void The_adapter_stays_alive_after_moving_although_no_field_holds_it()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters();
        var old = adapted.TrainableParameters().Single().Parameter;
        layer.to(ScalarType.Float64);
        Assert.True(old.IsInvalid);
        layer.forward(randn(2, 8, dtype: ScalarType.Float64)).sum().backward();
        Assert.NotNull(adapted.TrainableParameters().Single().Parameter.grad);
    }

    [Fact]
    public void An_optimizer_from_before_a_move_fails_loudly_and_a_new_one_works()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters();
        using var old = adapted.CreateOptimizer();
#pragma warning disable FOSSIL030 // The mistake is what is tested.
        layer.to(ScalarType.Float64);
#pragma warning restore FOSSIL030
        layer.forward(randn(2, 8, dtype: ScalarType.Float64)).sum().backward();
        Assert.ThrowsAny<Exception>(() => old.step());

        using var optimizer = adapted.CreateOptimizer();
        optimizer.step();
        Assert.True(adapted.TrainableParameters().Single().Parameter.abs().sum().item<double>() > 0);
    }

    [Fact]
    public void A_shape_that_would_be_broadcast_is_refused_when_an_adapter_is_loaded()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        layer.load_state_dict(new Dictionary<string, Tensor> { ["proj.weight"] = ones(1, 8) }, strict: false);
        Assert.True(layer.proj.weight.eq(1).all().item<bool>());

        using var folder = new TestData.TemporaryFolder();
        using (var narrow = new OneLinear(8, 1))
        using (var adapter = narrow.AttachAdapters()) adapter.SavePretrained(folder.Path);
        Assert.Contains("shape (4, 1)", Assert.Throws<AdapterFileException>(() => layer.LoadPretrained(folder.Path)).Message);
        Assert.DoesNotContain(layer.named_parameters(), entry => entry.name.Contains("miss_block", StringComparison.Ordinal));
    }

    [Fact]
    public void A_failing_backward_pass_does_not_end_the_process()
    {
        using var scope = NewDisposeScope();
        using var layer = LifeTests.Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        var x = randn(2, 8, requires_grad: true);
        var loss = layer.forward(x).sum();
        using (var noGrad = no_grad()) adapted.TrainableParameters().Single().Parameter.add_(1);
        loss.backward();

        Assert.True(x.grad!.isnan().all().item<bool>());
        var error = Assert.Throws<AdapterBackwardException>(() => layer.forward(x));
        Assert.Contains("changed between forward and backward", error.Message);
        layer.forward(x).sum().backward();
    }

    private sealed class Holder() : nn.Module(nameof(Holder));
}

/// <summary>One projection under two names; completed by hand, because the analyzers refuse it.</summary>
internal sealed class SharedProjection : nn.Module<Tensor, Tensor>, IFossilAdaptable
{
    private readonly Linear up = nn.Linear(8, 8);
    private readonly Linear same;

    public SharedProjection()
        : base(nameof(SharedProjection))
    {
        same = up;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => AdapterDispatch.Forward(same, AdapterDispatch.Forward(up, x));

    public void CollectAdapterTargets(AdapterTargetCollector targets)
    {
        targets.Add(nameof(up), up, new AdapterDefaults(ShardSize: 4));
        targets.Add(nameof(same), same, new AdapterDefaults(ShardSize: 4));
    }
}
