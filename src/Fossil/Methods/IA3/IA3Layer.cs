using Fossil.Adapters;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Methods.IA3;

/// <summary>
/// (IA)³ on a layer (PEFT: <c>tuners/ia3/layer.py</c>): y = l ⊙ (x Wᵀ + b) with l (out, 1), or of a feedforward layer y = (l ⊙ x) Wᵀ + b with l (1, in). Several act one after the other.
/// </summary>
internal sealed class IA3Layer(AdaptedTarget target, string adapterName, IA3Config config) : AdapterLayer(target, adapterName)
{
    /// <summary>l.</summary>
    public static readonly AdapterParameterName ScaleName = new("ia3_l", "ia3_l");

    /// <summary>All parameters of a layer.</summary>
    public static readonly IReadOnlyList<AdapterParameterName> Vector = [ScaleName];

    private const string LostKind = "lost";
    private const string LostBiasKind = "lost_bias";

    /// <summary>Whether the input is multiplied, and not the output.</summary>
    public bool IsFeedforward { get; } = config.IsFeedforward(target.Path);

    /// <summary>l as it is now.</summary>
    public Tensor Scale => Parameter(ScaleName);

    public override AdapterMethod Method => IA3Method.Instance;

    public override IReadOnlyList<AdapterParameterName> ParameterNames => Vector;

    public override bool DependsOnWeight => true;

    public override bool Chains => true;

    internal override bool Scales => true;

    internal override bool ChangesBias => !IsFeedforward;

    public override void CreateParameters(bool trainable, Device device)
    {
        long[] shape = IsFeedforward ? [1, Target.InFeatures] : [Target.OutFeatures, 1];
        Create(ScaleName, config.InitIA3Weights ? ones(shape, device: device) : randn(shape, device: device), trainable);
    }

    public override void MergeInto(Tensor weight, AdapterValues values) => Multiply(weight, values[ScaleName.Kind], values, LostKind);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => Divide(weight, values[ScaleName.Kind], values[LostKind]);

    internal override void MergeIntoBias(Tensor bias, AdapterValues values)
    {
        if (!IsFeedforward) Multiply(bias, values[ScaleName.Kind].flatten(), values, LostBiasKind);
    }

    internal override void UnmergeFromBias(Tensor bias, AdapterValues values)
    {
        if (!IsFeedforward) Divide(bias, values[ScaleName.Kind].flatten(), values[LostBiasKind]);
    }

    /// <summary>Keeps beside it what a product with zero would lose; PEFT divides by l + 1e-8 and gives something else back.</summary>
    private static void Multiply(Tensor tensor, Tensor scale, AdapterValues values, string lostKind)
    {
        using var scope = NewDisposeScope();
        values.Add(lostKind, tensor.masked_select(IsLost(scale)));
        tensor.mul_(scale);
    }

    private static void Divide(Tensor tensor, Tensor scale, Tensor lost)
    {
        using var scope = NewDisposeScope();
        tensor.div_(scale).masked_scatter_(IsLost(scale).expand(tensor.shape), lost);
    }

    /// <summary>Where the product cannot be divided back: by zero, by what is so small that the product is rounded to nothing, by infinity and NaN.</summary>
    private static Tensor IsLost(Tensor scale)
    {
        using var magnitude = scale.abs();
        return magnitude.ge(Scalars.Of(1e-20)).logical_and(magnitude.le(Scalars.Of(1e20))).logical_not();
    }
}
