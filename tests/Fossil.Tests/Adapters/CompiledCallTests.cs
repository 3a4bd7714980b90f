using System.Linq.Expressions;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Targets that code calls which was compiled before: their adapters take effect there, exactly as in calls that are rewired.</summary>
public class CompiledCallTests
{
    /// <summary>Ways from an input to the output of <c>down(relu(up(x)))</c> in which no call of a target is rewired.</summary>
    private static readonly Dictionary<string, Func<Mlp, Tensor, Tensor>> Ways = new()
    {
        ["the registered Sequential"] = (model, x) => model.forward(x),
        ["Sequential of a helper"] = (model, x) => InSequential(model.up, model.down).forward(x),
        ["Sequential with names"] = (model, x) => nn.Sequential(("up", model.up), ("relu", nn.ReLU()), ("down", model.down)).call(x),
        ["Sequential from a list"] = (model, x) => nn.Sequential(new List<nn.Module<Tensor, Tensor>> { model.up, nn.ReLU(), model.down }).forward(x),
        ["Sequential by append"] = (model, x) => nn.Sequential().append(model.up).append("relu", nn.ReLU()).append(model.down).forward(x),
        ["a slice of a Sequential"] = (model, x) => model.mlp[1..].forward(model.mlp[..1].forward(x)),
        ["Sequential in Sequential"] = (model, x) => nn.Sequential(nn.Sequential(model.up), nn.ReLU(), nn.Sequential(nn.Sequential(model.down))).forward(x),
        ["delegates"] = (model, x) =>
        {
            Func<Tensor, Tensor> up = model.up.call, down = model.down.call;
            return down(nn.functional.relu(up(x)));
        },
        ["an expression tree"] = (model, x) =>
        {
            Expression<Func<Tensor, Tensor>> tree = t => model.down.call(model.up.call(t).relu());
            return tree.Compile()(x);
        },
        ["dynamic"] = (model, x) =>
        {
            dynamic up = model.up, down = model.down;
            return down.call(nn.functional.relu(up.call(x)));
        },
        ["reflection"] = (model, x) =>
        {
            var call = typeof(nn.Module<Tensor, Tensor>).GetMethod("call")!;
            var hidden = (Tensor)call.Invoke(model.up, [x])!;
            return (Tensor)call.Invoke(model.down, [hidden.relu()])!;
        },
    };

    private static readonly Dictionary<string, AdapterConfig> Configs = new()
    {
        ["Balance"] = new FossilConfig { ShardSize = 4 },
        ["padded"] = new FossilConfig { ShardSize = 5, AllowPadding = true },
        ["Mini"] = new FossilConfig { ShardSize = 4, Variant = FossilVariant.Mini, MiniSize = 2 },
        ["Bat"] = new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat },
        ["LoRA"] = new LoraConfig { Rank = 2 },
        ["DoRA"] = new LoraConfig { Rank = 2, UseDora = true },
        ["PiSSA"] = new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa },
    };

    public static TheoryData<string> AllWays() => [.. Ways.Keys];

    public static TheoryData<string> AllConfigs() => [.. Configs.Keys];

    [Theory]
    [MemberData(nameof(AllWays))]
    public void The_adapter_takes_effect(string way)
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted, scale: 1);
        var x = randn(3, 5, 8);
        var expected = model.Rewired(x);
        Assert.False(expected.allclose(model.Base(x), atol: 0.1));
        Assert.True(expected.equal(Ways[way](model, x)).all().item<bool>(), way);
    }

    [Theory]
    [MemberData(nameof(AllConfigs))]
    public void Outputs_and_gradients_are_those_of_rewired_calls(string config)
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        using var adapted = model.AttachAdapters(Configs[config] with { TargetModules = ["0", "2"] });
        TinyModel.Randomize(adapted);
        var x = randn(3, 5, 8, requires_grad: true);

        var expected = Results(model.Rewired(x));
        var found = Results(model.forward(x));
        Assert.True(expected.Count > 2, "output, gradient of the input, and of each adapter");
        foreach (var (one, other) in expected.Zip(found)) Assert.True(one.equal(other).all().item<bool>());

        List<Tensor> Results(Tensor output)
        {
            List<Tensor> leaves = [x, .. adapted.TrainableParameters().Select(entry => entry.Parameter)];
            foreach (var leaf in leaves) leaf.grad = null;
            output.square().sum().backward();
            return [output, .. leaves.Select(leaf => leaf.grad!.clone())];
        }
    }

    [Fact]
    public void Rows_may_have_their_own_adapters()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        using var adapted = model.AttachAdapters();
        adapted.AddAdapter("other", new LoraConfig { Rank = 2, TargetModules = ["0"] });
        TinyModel.Randomize(adapted);
        var x = randn(3, 8);
        using var rows = adapted.UseAdapters(["other", null, "default"]);
        Assert.True(model.Rewired(x).equal(model.forward(x)).all().item<bool>());
        Assert.True(model.Base(x)[1].allclose(model.forward(x)[1]));
    }

    [Fact]
    public void Disabled_merged_and_detached_adapters_leave_the_layer_as_it_is()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        var x = randn(3, 8);
        var expected = model.Base(x);
        using (var adapted = model.AttachAdapters())
        {
            TinyModel.Randomize(adapted);
            var changed = model.forward(x);
            using (adapted.DisableAdapters()) Assert.True(expected.allclose(model.forward(x)));
            adapted.Merge();
            Assert.True(changed.allclose(model.forward(x), rtol: 1e-4, atol: 1e-5));
            adapted.Unmerge();
        }
        Assert.True(expected.allclose(model.forward(x), rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void Hooks_of_the_user_run_around_the_adapted_pass_in_their_order()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        var calls = new List<string>();
        var early = model.up.register_forward_hook((_, x, y) => Note("early", x, y));
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        model.up.register_forward_pre_hook((_, x) => x * 2);
        model.up.register_forward_hook((_, x, y) => Note("late", x, y));

        var input = randn(3, 8);
        var expected = model.RewiredCall(input);
        Assert.Equal(["early 3 3", "late 3 3"], calls);
        Assert.True(expected.equal(model.forward(input)).all().item<bool>());
        Assert.Equal(["early 3 3", "late 3 3", "early 3 3", "late 3 3"], calls);
        early.remove();
        Assert.True(model.RewiredCall(input).equal(model.forward(input)).all().item<bool>());

        Tensor Note(string name, Tensor x, Tensor y)
        {
            calls.Add($"{name} {x.shape[0]} {y.shape[0]}");
            return y + 1;
        }
    }

    [Fact]
    public void A_linear_layer_does_not_compute_its_own_product_before()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        using var adapted = model.AttachAdapters();
        // The layer itself refuses another dtype; adapters convert it, as PEFT's do.
        var x = randn(3, 8, dtype: ScalarType.Float64);
        Assert.True(model.Rewired(x).equal(model.forward(x)).all().item<bool>());
    }

    [Fact]
    public void A_layer_of_the_users_own_runs_with_its_adapter_too()
    {
        using var scope = NewDisposeScope();
        using var model = new Scaled();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var x = randn(3, 8);
        Assert.True(model.Rewired(x).equal(model.forward(x)).all().item<bool>());
    }

    [Fact]
    public void A_wrong_input_is_refused_as_in_rewired_calls()
    {
        using var scope = NewDisposeScope();
        using var model = new Mlp();
        using var adapted = model.AttachAdapters();
        Assert.Contains("mlp.0", Assert.Throws<AdapterInputException>(() => model.forward(randn(3, 7))).Message);
        Assert.Equal([3, 4], model.forward(randn(3, 8)).shape);
    }

    private static Sequential InSequential(Linear first, Linear second) => nn.Sequential(first, nn.ReLU(), second);
}

/// <summary>Targets that live in a <c>Sequential</c>.</summary>
[FossilAdapt("up", "down", ShardSize = 4)]
internal sealed partial class Mlp : nn.Module<Tensor, Tensor>
{
    public readonly Sequential mlp;

    public Mlp()
        : base(nameof(Mlp))
    {
        random.manual_seed(3);
        mlp = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4));
        RegisterComponents();
    }

    public Linear up => (Linear)mlp[0];

    public Linear down => (Linear)mlp[2];

    public override Tensor forward(Tensor x) => mlp.forward(x);

    public Tensor Rewired(Tensor x) => down.forward(nn.functional.relu(up.forward(x)));

    public Tensor RewiredCall(Tensor x) => down.call(nn.functional.relu(up.call(x)));

#pragma warning disable FOSSIL041 // What the layers compute without adapters is what the test compares with.
    public Tensor Base(Tensor x) => nn.functional.linear(nn.functional.linear(x, up.weight, up.bias).relu(), down.weight, down.bias);
#pragma warning restore FOSSIL041
}

/// <summary>A target with a forward pass of its own.</summary>
[FossilAdapt("inner", ShardSize = 4)]
internal sealed partial class Scaled : nn.Module<Tensor, Tensor>
{
    private readonly Sequential layers;
    private readonly ScaledLayer inner;

    public Scaled()
        : base(nameof(Scaled))
    {
        inner = new ScaledLayer();
        layers = nn.Sequential(("inner", inner), ("tanh", nn.Tanh()));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => layers.forward(x);

    public Tensor Rewired(Tensor x) => inner.forward(x).tanh();

    internal sealed class ScaledLayer : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight = nn.Parameter(randn(8, 8));

        public ScaledLayer()
            : base(nameof(ScaledLayer)) => RegisterComponents();

        public override Tensor forward(Tensor x) => x.matmul(weight.t()) * 0.5;
    }
}
