using Fossil.TestData;
using Fossil.Tests.Adapters;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Targets;

/// <summary>Members that attributes name and whose values cannot be adapted: they are in nobody's way until a configuration chooses them.</summary>
public class UnusableTargetTests
{
    /// <summary>What a member may hold, and whether it is worth a word that it has no adapter.</summary>
    public static TheoryData<string, bool> Values() => new()
    {
        { nameof(Conv2d), true },
        { nameof(Embedding), true },
        { nameof(LayerNorm), true },
        { "Squared", true },
        { nameof(Sequential), true },
        { nameof(Identity), false },
        { nameof(Dropout), false },
        { nameof(GELU), false },
        { "null", false },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public void What_cannot_be_adapted_is_left_out(string value, bool warns)
    {
        using var model = new MixedModel(value);
        var warnings = CollectedWarnings.During(() =>
        {
            using var adapted = model.AttachAdapters();
            Assert.Equal(["block.up", "block.experts.0", "block.experts.2"], adapted.Targets.Select(target => target.Path));
            Assert.Equal(3, adapted.TrainableParameters().Count);
        });
        Assert.Equal(warns ? [$"MixedBlock.mixed holds a {value}", $"MixedBlock.experts.1 holds a {value}"] : [], warnings.Where(warning => warning.StartsWith("MixedBlock", StringComparison.Ordinal)).Select(warning => warning.Split(',')[0]));
    }

    [Theory]
    [MemberData(nameof(Values))]
    public void It_is_refused_where_it_is_chosen(string value, bool _)
    {
        using var model = new MixedModel(value);
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["up"] })) Assert.Single(adapted.TrainableParameters());
        if (value == "null")
        {
            Assert.Throws<ConfigurationException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["mixed"] }));
            return;
        }

        foreach (var chosen in new ModuleSelector[] { ["up", "mixed"], @".*\.(up|mixed)" })
        {
            var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = chosen }));
            Assert.Contains($"'block.mixed' ({value}): MixedBlock.mixed holds a {value}", error.Message);
            Assert.Contains("exclude_modules", error.Message);
        }
        Assert.All(model.named_parameters(), entry => Assert.True(entry.parameter.requires_grad));
    }

    [Fact]
    public void A_tied_layer_that_is_not_registered_is_refused_only_where_it_is_chosen()
    {
        using var model = new TiedModel();
        var warnings = CollectedWarnings.During(() =>
        {
            using var adapted = model.AttachAdapters();
            Assert.Equal(["up"], adapted.Targets.Select(target => target.Path));
        });
        Assert.Contains(warnings, warning => warning.StartsWith("TiedModel.lm_head is annotated but not registered", StringComparison.Ordinal) && warning.Contains("shares its weight", StringComparison.Ordinal));
        using (model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["up"] }))
        {
        }
        using (model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ModuleSelector.AllLinear }))
        {
        }
        Assert.Contains("TiedModel.lm_head", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["lm_head"] })).Message);
    }

    [Fact]
    public void A_layer_that_somebody_forgot_to_register_is_refused_unless_the_configuration_leaves_it_out()
    {
        using var model = new ForgetfulModel();
        foreach (var config in new FossilConfig?[] { null, new() { ShardSize = 4 }, new() { ShardSize = 4, TargetModules = ["late"] } })
        {
            var error = Assert.Throws<NotAdaptableException>(() => config is null ? model.AttachAdapters() : model.AttachAdapters(config));
            Assert.Contains("ForgetfulModel.late is annotated but not registered", error.Message);
        }
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["up"] });
        Assert.Single(adapted.TrainableParameters());
    }

    [Fact]
    public void A_layer_that_another_class_of_the_model_registers_is_adapted_under_its_path()
    {
        using var scope = NewDisposeScope();
        using var model = new Lender();
        using var adapted = model.AttachAdapters();
        Assert.Equal(["shared"], adapted.Targets.Select(target => target.Path));
        Assert.Equal("shared.miss_block.default", Assert.Single(adapted.TrainableParameters()).Name);
        var input = randn(2, 8);
        var before = model.forward(input);
        TinyModel.Randomize(adapted);
        Assert.False(before.equal(model.forward(input)).all().item<bool>());
    }

    [Fact]
    public void A_model_of_which_nothing_can_be_adapted_says_what_its_attributes_name()
    {
        using var model = new NothingToAdapt();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters());
        Assert.Contains("NothingToAdapt.first is null", error.Message);
        Assert.Contains("NothingToAdapt.second holds a Identity", error.Message);
        Assert.DoesNotContain("No module", error.Message);
    }
}

[FossilAdapt("up", "mixed", "experts", ShardSize = 4)]
internal sealed partial class MixedBlock : nn.Module<Tensor, Tensor>
{
    private readonly Linear up = nn.Linear(8, 8);
    private readonly nn.Module<Tensor, Tensor>? mixed;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> experts;

    public MixedBlock(string value)
        : base(nameof(MixedBlock))
    {
        mixed = Create(value);
        experts = nn.ModuleList(nn.Linear(8, 8), Create(value) ?? nn.Identity(), nn.Linear(8, 8));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => up.forward(x);

    private static nn.Module<Tensor, Tensor>? Create(string value) => value switch
    {
        nameof(Conv2d) => nn.Conv2d(2, 2, 1),
        nameof(Embedding) => nn.Embedding(8, 8),
        nameof(LayerNorm) => nn.LayerNorm([8, 8]),
        nameof(Squared) => new Squared(),
        nameof(Sequential) => nn.Sequential(("inner", nn.Linear(8, 8))),
        nameof(Identity) => nn.Identity(),
        nameof(Dropout) => nn.Dropout(0.1),
        nameof(GELU) => nn.GELU(),
        _ => null,
    };

    /// <summary>A weight of three dimensions.</summary>
    private sealed class Squared : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight = nn.Parameter(randn(2, 8, 8));

        public Squared()
            : base(nameof(Squared)) => RegisterComponents();

        public override Tensor forward(Tensor x) => x.matmul(weight.select(0, 0));
    }
}

internal sealed class MixedModel : nn.Module<Tensor, Tensor>
{
    private readonly MixedBlock block;

    public MixedModel(string value)
        : base(nameof(MixedModel))
    {
        block = new MixedBlock(value);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => block.forward(x);
}

#pragma warning disable FOSSIL006 // What these models do on purpose.
[FossilAdapt("up", "lm_head", ShardSize = 4)]
internal sealed partial class TiedModel : nn.Module<Tensor, Tensor>
{
    private readonly Embedding embed = nn.Embedding(16, 8);
    private readonly Linear up = nn.Linear(8, 8);
    private readonly Linear lm_head;

    public TiedModel()
        : base(nameof(TiedModel))
    {
        RegisterComponents();
        lm_head = nn.Linear(8, 16, hasBias: false);
        lm_head.weight = embed.weight!;
    }

    public override Tensor forward(Tensor x) => lm_head.forward(up.forward(embed.forward(x)));
}

[FossilAdapt("up", "late", ShardSize = 4)]
internal sealed partial class ForgetfulModel : nn.Module<Tensor, Tensor>
{
    private readonly Linear up = nn.Linear(8, 8);
    private readonly Linear late;

    public ForgetfulModel()
        : base(nameof(ForgetfulModel))
    {
        RegisterComponents();
        late = nn.Linear(8, 8);
    }

    public override Tensor forward(Tensor x) => late.forward(up.forward(x));
}

internal sealed class Lender : nn.Module<Tensor, Tensor>
{
    private readonly Linear shared = nn.Linear(8, 8);
    private readonly Borrower borrower = new();

    public Lender()
        : base(nameof(Lender))
    {
        RegisterComponents();
        borrower.Borrow(shared);
    }

    public override Tensor forward(Tensor x) => borrower.forward(x);
}

[FossilAdapt("borrowed", ShardSize = 4)]
internal sealed partial class Borrower : nn.Module<Tensor, Tensor>
{
    private Linear? borrowed;

    public Borrower()
        : base(nameof(Borrower)) => RegisterComponents();

    public void Borrow(Linear layer) => borrowed = layer;

    public override Tensor forward(Tensor x) => borrowed!.forward(x);
}
#pragma warning restore FOSSIL006

[FossilAdapt("first", "second", ShardSize = 4)]
internal sealed partial class NothingToAdapt : nn.Module<Tensor, Tensor>
{
    private readonly Linear? first = null;
    private readonly nn.Module<Tensor, Tensor> second = nn.Identity();

    public NothingToAdapt()
        : base(nameof(NothingToAdapt)) => RegisterComponents();

    public override Tensor forward(Tensor x) => second.forward(first?.forward(x) ?? x);
}
