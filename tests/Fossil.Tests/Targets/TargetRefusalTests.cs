using Fossil.Tests.Adapters;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Targets;

/// <summary>What the messages say where a configuration chooses what cannot be adapted.</summary>
public class TargetRefusalTests
{
    private static readonly FossilConfig AllLinear = new() { ShardSize = 4, TargetModules = ModuleSelector.AllLinear };

    [Fact]
    public void A_layer_inside_a_Sequential_is_called_by_compiled_code()
    {
        using var model = new WithSequential();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(AllLinear));
        Assert.Contains("'mlp.0' (Linear), which Sequential calls from compiled code", error.Message);
        Assert.Contains("a field of WithSequential", error.Message);
        Assert.Contains("1 more that cannot be adapted: blocks.0.1", error.Message);
        Assert.DoesNotContain("on Sequential", error.Message);

        using var adapted = model.AttachAdapters(AllLinear with { ExcludeModules = ["mlp.0", "blocks.0.1"] });
        Assert.Equal(["up"], adapted.Targets.Where(target => target.Layers.Count > 0).Select(target => target.Path));
    }

    [Fact]
    public void All_linear_takes_annotated_layers_of_the_users_own()
    {
        using var model = new WithOwnLayer();
        using var adapted = model.AttachAdapters(AllLinear);
        Assert.Equal(["proj"], adapted.Targets.Where(target => target.Layers.Count > 0).Select(target => target.Path));
        Assert.Equal(["proj"], adapted.GetConfig().TargetModules!.Names);
    }

    [Fact]
    public void All_linear_names_the_output_layer_that_it_leaves_out()
    {
        using var model = new OnlyHead();
        Assert.Contains("'lm_head' is the model's only linear layer", Assert.Throws<ConfigurationException>(() => model.AttachAdapters(AllLinear)).Message);
        using var adapted = model.AttachAdapters(AllLinear with { TargetModules = ["lm_head"] });
        Assert.Single(adapted.TrainableParameters());
    }

    [Fact]
    public void The_list_of_targets_is_no_target_itself()
    {
        using var model = new TinyModel();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(AllLinear with { TargetModules = ["experts"] }));
        Assert.Contains("\"layers.0.experts.0\"", error.Message);
        Assert.DoesNotContain("Annotate", error.Message);
    }

    [Fact]
    public void What_is_no_linear_layer_is_not_to_be_annotated()
    {
        using var model = new TinyModel();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(AllLinear with { TargetModules = ["embed"] }));
        Assert.Contains("'embed' (Embedding), which is no linear map", error.Message);
        Assert.DoesNotContain("Annotate", error.Message);
    }
}

[FossilAdapt("up", ShardSize = 4)]
internal sealed partial class WithSequential : nn.Module<Tensor, Tensor>
{
    private readonly Linear up = nn.Linear(8, 8);
    private readonly Sequential mlp = nn.Sequential(nn.Linear(8, 8), nn.ReLU());
    private readonly ModuleList<Sequential> blocks = nn.ModuleList(nn.Sequential(nn.ReLU(), nn.Linear(8, 8)));

    public WithSequential()
        : base(nameof(WithSequential)) => RegisterComponents();

    public override Tensor forward(Tensor x) => blocks[0].forward(mlp.forward(up.forward(x)));
}

[FossilAdapt("proj", ShardSize = 4)]
internal sealed partial class WithOwnLayer : nn.Module<Tensor, Tensor>
{
    private readonly OwnLinear proj = new(8, 8);

    public WithOwnLayer()
        : base(nameof(WithOwnLayer)) => RegisterComponents();

    public override Tensor forward(Tensor x) => proj.forward(x);
}

[AdapterWidths("inFeatures", "outFeatures")]
internal sealed class OwnLinear : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;

    public OwnLinear(long inFeatures, long outFeatures)
        : base(nameof(OwnLinear))
    {
        weight = nn.Parameter(randn(outFeatures, inFeatures));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => x.matmul(weight.t());
}

[FossilAdapt("lm_head", ShardSize = 4)]
internal sealed partial class OnlyHead : nn.Module<Tensor, Tensor>
{
    private readonly Linear lm_head = nn.Linear(8, 16);

    public OnlyHead()
        : base(nameof(OnlyHead)) => RegisterComponents();

    public override Tensor forward(Tensor x) => lm_head.forward(x);
}
