using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>A weight that is one floating-point tensor: the only form that is changed in place, and that may be trained.</summary>
/// <param name="tensor">(out, in); of an embedding (entries, width).</param>
internal sealed class FloatWeight(Tensor tensor) : LinearWeight
{
    /// <summary>The tensor.</summary>
    public Tensor Tensor => tensor;

    public override long OutFeatures => tensor.shape[0];

    public override long InFeatures => tensor.shape[1];

    public override ScalarType Dtype => tensor.dtype;

    public override IReadOnlyList<Tensor> Data => [tensor];

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new FloatWeight(data[0]);

    public override Tensor Rows(long start, long count) => new RowRange(start, count).Of(tensor);

    public override Tensor Product(Tensor input, Tensor? bias) => nn.functional.linear(input, tensor, bias);

    public override Tensor InputGradient(Tensor gradOutput) => gradOutput.mm(tensor);

    internal override Tensor Lookup(Tensor indices)
    {
        using var scope = NewDisposeScope();
        return tensor.index_select(0, indices.flatten()).view([.. indices.shape, InFeatures]).MoveToOuterDisposeScope();
    }

    internal override void AddProduct(Tensor output, Tensor input)
    {
        using var transposed = tensor.t();
        output.addmm_(input, transposed);
    }

    internal override void AddInputGradient(Tensor inputGradient, Tensor gradOutput) => inputGradient.addmm_(gradOutput, tensor);

    internal override Tensor ToTensor(ScalarType dtype, bool copy) => tensor.to(dtype, copy: copy);

    /// <summary>All: they are written out already.</summary>
    public override long RowsPerTile => OutFeatures;
}
