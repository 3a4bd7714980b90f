using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// A weight whose products are made in another dtype than its own, as PyTorch's autocast makes them. It is converted anew for each product, so that no copy stays beside it.
/// </summary>
/// <param name="weight">The weight.</param>
/// <param name="dtype">The dtype of inputs, outputs and tiles.</param>
internal sealed class CastWeight(LinearWeight weight, ScalarType dtype) : LinearWeight
{
    public override long OutFeatures => weight.OutFeatures;

    public override long InFeatures => weight.InFeatures;

    public override ScalarType Dtype => dtype;

    public override Device Device => weight.Device;

    public override long RowsPerTile => weight.RowsPerTile;

    public override IReadOnlyList<Tensor> Data => weight.Data;

    /// <summary>The weight in its own dtype.</summary>
    internal override LinearWeight Exact => weight;

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new CastWeight(weight.WithData(data), dtype);

    public override Tensor Rows(long start, long count)
    {
        using var scope = NewDisposeScope();
        return weight.Rows(start, count).to(dtype).MoveToOuterDisposeScope();
    }

    public override Tensor Product(Tensor input, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        var offset = bias?.to(dtype);
        return (Whole() is { } whole ? whole.Product(input, offset) : base.Product(input, offset)).MoveToOuterDisposeScope();
    }

    public override Tensor InputGradient(Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        return (Whole() is { } whole ? whole.InputGradient(gradOutput) : base.InputGradient(gradOutput)).MoveToOuterDisposeScope();
    }

    internal override void AddProduct(Tensor output, Tensor input)
    {
        using var scope = NewDisposeScope();
        if (Whole() is { } whole) whole.AddProduct(output, input);
        else base.AddProduct(output, input);
    }

    internal override void AddInputGradient(Tensor inputGradient, Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        if (Whole() is { } whole) whole.AddInputGradient(inputGradient, gradOutput);
        else base.AddInputGradient(inputGradient, gradOutput);
    }

    /// <summary>All rows, where they are written out already; null where they are to be so a tile at a time.</summary>
    private FloatWeight? Whole() => RowsPerTile < OutFeatures ? null : new FloatWeight(Rows(0, OutFeatures));
}
