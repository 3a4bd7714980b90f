using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Weights;

/// <summary>A weight as int8 rows with a scale each: what a quantised format would say of itself, in the fewest lines.</summary>
internal sealed class Int8Weight(Tensor values, Tensor scales) : LinearWeight
{
    public override long OutFeatures => values.shape[0];

    public override long InFeatures => values.shape[1];

    public override ScalarType Dtype => scales.dtype;

    /// <summary>Few, and no multiple of anything, so that small weights have many tiles.</summary>
    public override long RowsPerTile => 10;

    public override IReadOnlyList<Tensor> Data => [values, scales];

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new Int8Weight(data[0], data[1]);

    public override Tensor Rows(long start, long count) => values.narrow(0, start, count).to(Dtype) * scales.narrow(0, start, count);
}

/// <summary>A layer with such a weight, in buffers.</summary>
internal sealed class Int8Linear : nn.Module<Tensor, Tensor>, ILinearLayer
{
    private readonly Parameter? bias;

    /// <summary>Rounds a weight (out, in) to int8.</summary>
    public Int8Linear(Tensor weight, Tensor? bias)
        : base(nameof(Int8Linear))
    {
        var scales = weight.abs().amax([1], keepdim: true) / 127;
        register_buffer("values", (weight / scales).round().to(ScalarType.Int8));
        register_buffer("scales", scales);
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
