using Fossil.CompilerServices;
using Fossil.TestData;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Weights;

/// <summary>A layer of the user's own with a weight in a form of their own.</summary>
internal sealed class Int8Linear : nn.Module<Tensor, Tensor>, ILinearLayer
{
    private readonly Parameter? bias;

    /// <summary>Rounds a weight (out, in) to int8.</summary>
    public Int8Linear(Tensor weight, Tensor? bias)
        : base(nameof(Int8Linear))
    {
        var rounded = Int8Weight.Of(weight);
        register_buffer("values", rounded.Data[0]);
        register_buffer("scales", rounded.Data[1]);
        if (bias is not null) this.bias = new Parameter(bias.clone());
        RegisterComponents();
    }

    public LinearWeight Weight => new Int8Weight(get_buffer("values")!, get_buffer("scales")!);

    public override Tensor forward(Tensor input) => Weight.Apply(input, bias);
}

/// <summary>A module with one projection of any kind, as the generator would complete it.</summary>
internal sealed class OneLayer : nn.Module<Tensor, Tensor>, IFossilAdaptable
{
    public OneLayer(nn.Module<Tensor, Tensor> proj)
        : base(nameof(OneLayer))
    {
        this.proj = proj;
        RegisterComponents();
    }

    public readonly nn.Module<Tensor, Tensor> proj;

    public override Tensor forward(Tensor input) => AdapterDispatch.Forward(proj, input);

    public void CollectAdapterTargets(AdapterTargetCollector targets) => targets.Add(nameof(proj), proj, new AdapterDefaults(ShardSize: 8));
}
