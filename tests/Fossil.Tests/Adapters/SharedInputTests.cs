using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Calls of one group compute what single calls do: outputs and gradients of parameters bit for bit, dx within fewer roundings.</summary>
public class SharedInputTests
{
    private static readonly ProjectionGroup Group = new("q", "k", "v");

    /// <summary>Configurations, the dtype of the base, and whether products are in bfloat16.</summary>
    public static TheoryData<string, ScalarType, bool> Cases()
    {
        var cases = new TheoryData<string, ScalarType, bool>();
        foreach (var config in Configs.Keys)
        {
            cases.Add(config, ScalarType.Float32, false);
            cases.Add(config, ScalarType.Float64, false);
            cases.Add(config, ScalarType.BFloat16, false);
            cases.Add(config, ScalarType.BFloat16, true);
        }

        return cases;
    }

    private static readonly Dictionary<string, AdapterConfig> Configs = new()
    {
        ["Balance"] = new FossilConfig { ShardSize = 16 },
        ["Balance, padded"] = new FossilConfig { ShardSize = 24, AllowPadding = true },
        ["Balance, dropout"] = new FossilConfig { ShardSize = 16, Dropout = 0.2 },
        ["Mini"] = new FossilConfig { ShardSize = 16, Variant = FossilVariant.Mini, MiniSize = 32 },
        ["Bat"] = new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat },
        ["LoRA"] = new LoraConfig { Rank = 4 },
        ["LoRA, dropout"] = new LoraConfig { Rank = 4, Dropout = 0.2 },
        ["DoRA"] = new LoraConfig { Rank = 4, UseDora = true },
        ["VeRA"] = new VeraConfig { Rank = 8 },
        ["IA3"] = new IA3Config { TargetModules = ["q", "k", "v"], FeedforwardModules = [] },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_group_equals_single_calls(string name, ScalarType dtype, bool bf16)
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(dtype);
        using var adapted = model.AttachAdapters(Of(name));
        adapted.Bf16Products = bf16;
        TinyModel.Randomize(adapted);
        AssertEqual(model.Run(null), model.Run(Group));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rows_of_many_are_multiplied_with_the_changed_weight(bool wantsInput)
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 16 });
        TinyModel.Randomize(adapted);
        AssertEqual(model.Run(null, rows: 96, wantsInput: wantsInput), model.Run(Group, rows: 96, wantsInput: wantsInput));
    }

    [Fact]
    public void What_is_frozen_gets_no_gradient()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.BFloat16);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        adapted.TrainableParameters()[1].Parameter.requires_grad_(false);
        var (single, shared) = (model.Run(null), model.Run(Group));
        Assert.Equal(2, shared.Gradients.Count);
        AssertEqual(single, shared);
    }

    [Fact]
    public void Of_outputs_that_nobody_uses_there_are_no_gradients()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.BFloat16);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        var (single, shared) = (model.Run(null, used: [0, 2]), model.Run(Group, used: [0, 2]));
        Assert.Equal(2, shared.Gradients.Count);
        AssertEqual(single, shared);
    }

    /// <summary>Merged, disabled, of another method, absent: such a target runs by itself, the others together.</summary>
    [Theory]
    [InlineData("merged")]
    [InlineData("disabled")]
    [InlineData("other method")]
    [InlineData("absent")]
    [InlineData("two adapters")]
    [InlineData("hook")]
    [InlineData("trained base")]
    [InlineData("rows")]
    public void A_target_that_cannot_share_runs_by_itself(string state)
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(((FossilConfig)Of("Balance")) with { TargetModules = state is "other method" or "absent" ? ["q", "v"] : ["q", "k", "v"] });
        if (state == "other method") adapted.AddAdapter("other", new LoraConfig { Rank = 4, TargetModules = ["k"] });
        if (state == "two adapters") adapted.AddAdapter("other", new FossilConfig { ShardSize = 16 });
        if (state is "other method" or "two adapters") adapted.SetAdapter("default", "other");
        TinyModel.Randomize(adapted);
        if (state == "hook") model.k.register_forward_hook((_, _, y) => y + 1);
        if (state == "trained base") model.k.weight!.requires_grad_(true);
        if (state == "merged") adapted.Merge();
        using var disabled = state == "disabled" ? adapted.DisableAdapters() : null;
        using var rows = state == "rows" ? adapted.UseAdapters(["default", null, "default", "default"]) : null;
        AssertEqual(model.Run(null), model.Run(Group));
    }

    [Fact]
    public void Dropout_draws_as_single_calls_do()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(Of("Balance, dropout"));
        TinyModel.Randomize(adapted);
        random.manual_seed(3);
        var single = model.Forward(Projections.Input(ScalarType.Float32, 12), null);
        random.manual_seed(3);
        Assert.All(single.Zip(model.Forward(Projections.Input(ScalarType.Float32, 12), Group)), pair => Assert.True(Same(pair.First, pair.Second)));
        Assert.False(Same(single[1], model.Forward(Projections.Input(ScalarType.Float32, 12), Group)[1]));
    }

    /// <summary>Without a backward pass each runs by itself, and gives what the recomputation with one gives.</summary>
    [Fact]
    public void Without_a_backward_pass_the_outputs_are_the_same()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.BFloat16);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        var recorded = model.Run(Group).Outputs;
        using var noGrad = no_grad();
        Assert.All(recorded.Zip(model.Forward(Projections.Input(ScalarType.BFloat16, 12), Group)), pair => Assert.True(Same(pair.First, pair.Second)));
    }

    [Fact]
    public void Outputs_are_there_for_their_own_calls_alone()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        var x = Projections.Input(ScalarType.Float32, 12).requires_grad_(true);
        var before = model.Forward(x, null);

        // Computed with the first, so that the change of x comes too late for it; once; and not for another group, or other adapters.
        AdapterDispatch.Forward(model.q, x, Group);
        using (no_grad()) x.mul_(2);
        var after = model.Forward(x, null);
        Assert.True(Same(before[1], AdapterDispatch.Forward(model.k, x, Group)));
        Assert.True(Same(after[1], AdapterDispatch.Forward(model.k, x, Group)));
        Assert.True(Same(after[2], AdapterDispatch.Forward(model.v, x, new ProjectionGroup("q", "k", "v"))));
        AdapterDispatch.Forward(model.q, x, Group);
        using (adapted.DisableAdapters()) Assert.False(Same(after[2], AdapterDispatch.Forward(model.v, x, Group)));
    }

    /// <summary>An exception between the calls leaves outputs that nobody takes: they die with the input.</summary>
    [Fact]
    public void Outputs_that_are_not_taken_die_with_the_input()
    {
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        var waiting = Interrupted(model);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.False(waiting.IsAlive);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Interrupted(Projections model)
    {
        var x = Projections.Input(ScalarType.Float32, 12).requires_grad_(true);
        using var first = AdapterDispatch.Forward(model.q, x, Group);
        return new(x);
    }

    [Fact]
    public void A_scope_that_ends_between_the_calls_takes_the_outputs_along()
    {
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(Of("Balance"));
        TinyModel.Randomize(adapted);
        using var x = Projections.Input(ScalarType.Float32, 12).requires_grad_(true);
        using (NewDisposeScope()) AdapterDispatch.Forward(model.q, x, Group);
        using var expected = AdapterDispatch.Forward(model.k, x);
        using var actual = AdapterDispatch.Forward(model.k, x, Group);
        Assert.True(Same(expected, actual));
    }

    [Fact]
    public void A_failure_of_the_first_call_leaves_nothing()
    {
        using var scope = NewDisposeScope();
        using var model = new Projections(ScalarType.Float32);
        using var adapted = model.AttachAdapters(Of("Balance"));
        Assert.Throws<AdapterInputException>(() => AdapterDispatch.Forward(model.q, randn(3, 7), Group));
        AssertEqual(model.Run(null), model.Run(Group));
    }

    private static AdapterConfig Of(string name) => Configs[name];

    private static bool Same(Tensor left, Tensor right) => left.eq(right).all().item<bool>();

    private static void AssertEqual(Results single, Results shared)
    {
        Assert.All(single.Outputs.Zip(shared.Outputs), pair => Assert.True(Same(pair.First, pair.Second)));
        Assert.Equal(single.Gradients.Count, shared.Gradients.Count);
        Assert.All(single.Gradients.Zip(shared.Gradients), pair => Assert.True(Same(pair.First, pair.Second)));
        if (single.Input is null) return;
        var tolerance = single.Input.dtype == ScalarType.BFloat16 ? 0.02 : 1e-5;
        var error = (single.Input - shared.Input!).abs().max().to(ScalarType.Float64).item<double>() / single.Input.abs().max().to(ScalarType.Float64).item<double>();
        Assert.True(error <= tolerance, $"dx differs by {error} of its largest element.");
    }

    internal sealed record Results(Tensor[] Outputs, IReadOnlyList<Tensor> Gradients, Tensor? Input);

    private sealed class Projections : nn.Module<Tensor, Tensor>, IFossilAdaptable
    {
        public const int Width = 64;
        public readonly Linear q, k, v;

        public Projections(ScalarType dtype)
            : base(nameof(Projections))
        {
            random.manual_seed(1);
            (q, k, v) = (nn.Linear(Width, 128, hasBias: false, dtype: dtype), nn.Linear(Width, 64, dtype: dtype), nn.Linear(Width, 64, hasBias: false, dtype: dtype));
            RegisterComponents();
        }

        public static Tensor Input(ScalarType dtype, long rows)
        {
            using var generator = new Generator(5);
            return randn([4, rows / 4, Width], generator: generator).to(dtype);
        }

        public override Tensor forward(Tensor input) => Forward(input, null)[0];

        public Tensor[] Forward(Tensor x, ProjectionGroup? group) =>
            [.. new[] { q, k, v }.Select(layer => group is null ? AdapterDispatch.Call(layer, x) : AdapterDispatch.Call(layer, x, group))];

        /// <summary>Outputs and gradients of a sum over the outputs that are used.</summary>
        public Results Run(ProjectionGroup? group, long rows = 12, bool wantsInput = true, int[]? used = null)
        {
            random.manual_seed(11);
            var x = Input(q.weight!.dtype, rows).requires_grad_(wantsInput);
            var outputs = Forward(x, group);
            var chosen = (used ?? [0, 1, 2]).Select(index => outputs[index]).ToArray();
            using var generator = new Generator(9);
            autograd.backward(chosen, [.. chosen.Select(output => randn(output.shape, generator: generator).to(output.dtype))]);
            var trained = parameters().Where(parameter => parameter.grad is not null).ToArray();
            var gradients = trained.Select(parameter => parameter.grad!.clone()).ToArray();
            foreach (var parameter in trained) parameter.grad = null;
            return new(outputs, gradients, x.grad);
        }

        public void CollectAdapterTargets(AdapterTargetCollector targets)
        {
            targets.Add(nameof(q), q, new AdapterDefaults(ShardSize: 16));
            targets.Add(nameof(k), k, new AdapterDefaults(ShardSize: 16));
            targets.Add(nameof(v), v, new AdapterDefaults(ShardSize: 16));
        }
    }
}
