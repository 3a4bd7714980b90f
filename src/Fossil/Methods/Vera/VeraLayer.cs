using Fossil.Adapters;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Methods.Vera;

/// <summary>
/// VeRA on a layer (PEFT: <c>tuners/vera/layer.py</c>): y = x Wᵀ + b + λb ⊙ (B (λd ⊙ (A x))). λd (r) and λb (out) are trained; A (r, in) and B (out, r) are the first columns and rows of the
/// matrices that all layers share.
/// </summary>
internal sealed class VeraLayer(AdaptedTarget target, string adapterName, VeraConfig config) : AdapterLayer(target, adapterName)
{
    /// <summary>λb (out).</summary>
    public static readonly AdapterParameterName LambdaBName = new("vera_lambda_b", "vera_lambda_b");

    /// <summary>λd (r).</summary>
    public static readonly AdapterParameterName LambdaDName = new("vera_lambda_d", "vera_lambda_d");

    /// <summary>All parameters of a layer.</summary>
    public static readonly IReadOnlyList<AdapterParameterName> Vectors = [LambdaBName, LambdaDName];

    private const string KindA = "vera_A";
    private const string KindB = "vera_B";

    public VeraConfig Config { get; } = config;

    /// <summary>The matrices that the layer shares with all others; set before its parameters are created.</summary>
    public VeraProjection Projection { get; set; } = null!;

    public Tensor LambdaB => Parameter(LambdaBName);

    public Tensor LambdaD => Parameter(LambdaDName);

    /// <summary>A (r, in), a view. The caller owns it.</summary>
    public Tensor A => Projection.A.narrow(1, 0, Target.InFeatures);

    /// <summary>B (out, r), a view. The caller owns it.</summary>
    public Tensor B => Projection.B.narrow(0, 0, Target.OutFeatures);

    public override AdapterMethod Method => VeraMethod.Instance;

    public override IReadOnlyList<AdapterParameterName> ParameterNames => Vectors;

    /// <summary>B' (out, r) = diag(λb) B diag(λd), with which the change of the weight is B' A.</summary>
    public static Tensor Scaled(Tensor b, Tensor lambdaB, Tensor lambdaD)
    {
        using var rows = lambdaB.unsqueeze(1);
        using var scaled = b * rows;
        return scaled * lambdaD;
    }

    public override void CreateParameters(bool trainable, Device device)
    {
        Create(LambdaBName, Initial(Config.InitWeights ? zeros(Target.OutFeatures, device: device) : ones(Target.OutFeatures, device: device)), trainable);
        Create(LambdaDName, Initial(Config.InitWeights ? full([Config.Rank], Scalars.Of(Config.DInitial), ScalarType.Float32, device) : randn(Config.Rank, device: device)), trainable);
    }

    public override void MergeInto(Tensor weight, AdapterValues values) => AddChange(weight, values, 1);

    public override void UnmergeFrom(Tensor weight, AdapterValues values) => AddChange(weight, values, -1);

    public override (Tensor A, Tensor B)? LoraFactors(AdapterValues values)
    {
        using var scope = NewDisposeScope();
        return (values[KindA].clone().MoveToOuterDisposeScope(), Scaled(values[KindB], values[LambdaBName.Kind], values[LambdaDName.Kind]).MoveToOuterDisposeScope());
    }

    // Frozen, so what is kept are views where the dtype is theirs.
    internal override void AddValues(AdapterValues values, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        values.Add(KindA, A.to(dtype).alias());
        values.Add(KindB, B.to(dtype).alias());
    }

    private static void AddChange(Tensor weight, AdapterValues values, int sign)
    {
        using var scaled = Scaled(values[KindB], values[LambdaBName.Kind], values[LambdaDName.Kind]);
        weight.addmm_(scaled, values[KindA], alpha: sign);
    }

    /// <summary>As PEFT attaches it: moved to the base's dtype and back to float32.</summary>
    private Tensor Initial(Tensor values)
    {
        using var scope = NewDisposeScope();
        return values.to(Target.Base.Weight.Dtype).to(ScalarType.Float32, copy: true).MoveToOuterDisposeScope();
    }
}
