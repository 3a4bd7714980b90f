using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// The layer below a target's adapters: all that methods, merging and saving know of it. TorchSharp's <c>Linear</c>, an <see cref="ILinearLayer"/> with a weight of any form, an embedding, or a layer of
/// the user's own with a <c>weight</c>.
/// </summary>
/// <param name="module">The layer.</param>
/// <param name="path">Its path in the model, for messages.</param>
internal sealed class BaseLayer(nn.Module<Tensor, Tensor> module, string path)
{
    /// <summary>W (out, in) as it is now; of an embedding (entries, width).</summary>
    /// <exception cref="NotAdaptableException">The module has none any more.</exception>
    public LinearWeight Weight => BaseWeight.Of(module)
        ?? throw new NotAdaptableException($"'{path}' ({module.GetType().Name}) has no parameter or buffer named 'weight', so it cannot be adapted.");

    /// <summary>Whether products are made in bfloat16 (<see cref="AdaptedModel.Bf16Products"/>).</summary>
    public bool HasBf16Products { get; set; }

    /// <summary><see cref="Weight"/> as products read it: in bfloat16 where they are made so, float64 apart, which autocast leaves alone too.</summary>
    public LinearWeight ProductWeight => Weight is var weight && IsCast(weight) ? new CastWeight(weight, ScalarType.BFloat16) : weight;

    /// <summary>Whether products are made in another dtype than that of the weight.</summary>
    public bool CastsWeight => HasBf16Products && !IsEmbedding && IsCast(Weight);

    /// <summary>b (out), if there is one.</summary>
    public Tensor? Bias => BaseWeight.FindBias(module);

    /// <summary>Whether it looks rows of its weight up.</summary>
    public bool IsEmbedding => BaseWeight.IsEmbedding(module);

    /// <summary>Width of the input; of an embedding, the number of its entries.</summary>
    public long InFeatures => IsEmbedding ? Weight.OutFeatures : Weight.InFeatures;

    /// <summary>Width of the output.</summary>
    public long OutFeatures => IsEmbedding ? Weight.InFeatures : Weight.OutFeatures;

    /// <summary>The device of W.</summary>
    public Device Device => Weight.Device;

    /// <summary>Whether its forward pass is the product with a floating-point weight and nothing else, in which no other module runs.</summary>
    public bool IsPlain => BaseWeight.IsPlain(module);

    /// <summary>Whether its weight is a floating-point tensor.</summary>
    public bool IsFloatingPoint => Weight is FloatWeight;

    /// <summary>Whether it is training, so that dropout acts.</summary>
    public bool IsTraining => module.training;

    /// <summary><see cref="ProductWeight"/>, where the product with it may be part of an adapter's own function: y = x Wᵀ + b is all that the layer computes, and W gets no gradient. Null elsewhere.</summary>
    public LinearWeight? Frozen => IsProduct && ProductWeight is { IsFrozen: true } weight ? weight : null;

    /// <summary>W in its own dtype, without a gradient.</summary>
    public Tensor ToTensor()
    {
        var weight = Weight;
        return weight.ToTensor(weight.Dtype).detach();
    }

    /// <summary>The layer's own forward pass; in bfloat16 where products are made so.</summary>
    /// <param name="input">(…, in), in the dtype of the weight; any where products are made in bfloat16.</param>
    public Tensor Forward(Tensor input)
    {
        if (!HasBf16Products || IsEmbedding) return module.forward(input);
        using var scope = NewDisposeScope();
        var weight = ProductWeight;

        // What is no product, a layer of the user's own, is not looked into: it computes in its own dtype.
        var output = !IsProduct || !IsCast(weight.Exact) ? module.forward(input.to(weight.Exact.Dtype)).to(weight.Dtype)
            : weight.IsFrozen ? weight.Apply(input.to(weight.Dtype), Bias)
            : nn.functional.linear(input.to(weight.Dtype), weight.Rows(0, weight.OutFeatures), Bias?.to(weight.Dtype));
        return output.MoveToOuterDisposeScope();
    }

    /// <summary>Whether y = x Wᵀ + b is all that the layer computes.</summary>
    private bool IsProduct => module is Linear or ILinearLayer;

    private bool IsCast(LinearWeight weight) => HasBf16Products && weight.Dtype is not (ScalarType.BFloat16 or ScalarType.Float64);

    /// <summary>Refuses a weight that nothing can be merged into. One that is a floating-point tensor is changed at its <see cref="WeightPlace"/>.</summary>
    /// <param name="expand">Whether one in another form may become one; <see cref="Expand"/> makes it so.</param>
    /// <exception cref="WeightNotChangeableException">It is in another form.</exception>
    public void CheckChangeable(bool expand)
    {
        if (Weight is FloatWeight || (expand && Storage is not null)) return;
        throw new WeightNotChangeableException(
            $"The weight of '{path}' is held as {Weight.GetType().Name}, which cannot take up a change: no weight was changed. Use the adapter unmerged, export the model with it (SaveMerged…), or merge with expandWeights: true where there is memory for floating-point weights.");
    }

    /// <summary>Makes a floating-point parameter of a weight in another form.</summary>
    public void Expand() => Storage?.Expand();

    private EncodableModule? Storage => (module is TiedLinear { IsTied: true } tied ? tied.Source : module) as EncodableModule;
}
