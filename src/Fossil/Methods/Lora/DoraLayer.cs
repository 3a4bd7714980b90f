using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// DoRA (arXiv 2402.09353; PEFT: <c>tuners/lora/dora.py</c>): the weight is m ⊙ V / ‖V‖ with V = W + s·B A, the norm along in, and m (out) learnt. The norm is
/// taken as a constant in the backward pass (section 4.3 of the paper).
/// </summary>
internal sealed class DoraLayer(AdaptedTarget target, string adapterName, LoraConfig config) : LoraLayer(target, adapterName, config)
{
    /// <summary>m (out).</summary>
    public static readonly AdapterParameterName MagnitudeVector = new("lora_magnitude_vector", "lora_magnitude_vector", InModule: true);

    private const string NormKind = "weight_norm";

    private static readonly AdapterParameterName[] FactorsAndMagnitude = [FactorA, FactorB, MagnitudeVector];

    public Tensor Magnitude => Parameter(MagnitudeVector);

    public override IReadOnlyList<AdapterParameterName> ParameterNames => FactorsAndMagnitude;

    public override bool DependsOnWeight => true;

    internal override bool StartsFromBase => true;

    public override void CreateParameters(bool trainable, Device device)
    {
        base.CreateParameters(trainable, device);

        // Of the weight as the factors leave it: with random factors the output is then still the base's plus theirs. PiSSA's leave it as it is.
        using var norm = Target.Base.Weight.RowNorms(A, B, IsPissa || !HasChange() ? 0 : Scale);
        Create(MagnitudeVector, norm.to(ScalarType.Float32, copy: true), trainable);
    }

    /// <summary>Whether B is not zero, as it is where training begins.</summary>
    private bool HasChange()
    {
        using var any = B.any();
        return any.item<bool>();
    }

    public override void MergeInto(Tensor weight, AdapterValues values)
    {
        using var scope = NewDisposeScope();
        AddChange(weight, values, Scale);
        var norm = weight.norm(1);
        weight.mul_((values[MagnitudeVector.Kind] / norm).unsqueeze(1));

        // Of the merged weight the norm is another one, so unmerging needs it kept.
        values.Add(NormKind, norm);
    }

    public override void UnmergeFrom(Tensor weight, AdapterValues values)
    {
        using var scope = NewDisposeScope();
        weight.mul_((values[NormKind] / values[MagnitudeVector.Kind]).unsqueeze(1));
        AddChange(weight, values, -Scale);
    }

    public override (Tensor A, Tensor B)? LoraFactors(AdapterValues values) => null;
}
