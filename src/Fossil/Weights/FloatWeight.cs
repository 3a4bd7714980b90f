using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Kernels.OneRow;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>A weight that is one floating-point tensor: the only form that is changed in place, and that may be trained.</summary>
/// <param name="tensor">(out, in); of an embedding (entries, width).</param>
internal sealed class FloatWeight(Tensor tensor) : LinearWeight
{
    /// <summary>The tensor.</summary>
    public Tensor Tensor => tensor;

    public override long OutFeatures => tensor.size(0);

    public override long InFeatures => tensor.size(1);

    public override ScalarType Dtype => tensor.dtype;

    public override IReadOnlyList<Tensor> Data => [tensor];

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new FloatWeight(data[0]);

    public override Tensor Rows(long start, long count) => new RowRange(start, count).Of(tensor);

    public override Tensor Product(Tensor input, Tensor? bias) => Linear(input, tensor, bias);

    public override Tensor InputGradient(Tensor gradOutput) => gradOutput.mm(tensor);

    internal override Tensor Lookup(Tensor indices)
    {
        using var scope = NewDisposeScope();
        return tensor.index_select(0, indices.flatten()).view([.. indices.shape, InFeatures]).MoveToOuterDisposeScope();
    }

    internal override RowProduct? OneRow() => tensor.dtype switch
    {
        ScalarType.Float32 => FloatRowProduct<float>.TryCreate(tensor),
        ScalarType.BFloat16 => FloatRowProduct<ushort>.TryCreate(tensor),
        _ => null,
    };

    internal override void AddProduct(Tensor output, Tensor input)
    {
        using var transposed = tensor.t();
        output.addmm_(input, transposed);
    }

    internal override void AddInputGradient(Tensor inputGradient, Tensor gradOutput) => inputGradient.addmm_(gradOutput, tensor);

    /// <summary>x Wᵀ + b (…, out) with what gradients autograd wants: libtorch's product, but for a single row without a gradient, whose time goes into setting the operation up.</summary>
    internal static Tensor Linear(Tensor input, Tensor weight, Tensor? bias) => (bias is null && !is_grad_enabled() ? OfOneRow(input, weight) : null) ?? nn.functional.linear(input, weight, bias);

    private static Tensor? OfOneRow(Tensor input, Tensor weight)
    {
        if (input.dtype != weight.dtype || input.shape is not [.. var outer, var width] || input.numel() != width || width != weight.size(1)) return null;
        using var row = input.reshape(1, width);
        using var output = empty(1, weight.size(0), dtype: input.dtype, device: input.device);
        return KernelRegistry.TryRun<IOneRowProduct>(0, [output, row, weight], static (kernel, m) => kernel.TryRun(m[0], m[1], m[2])) ? output.view([.. outer, weight.size(0)]) : null;
    }

    internal override Tensor ToTensor(ScalarType dtype, bool copy) => tensor.to(dtype, copy: copy);

    /// <summary>All: they are written out already.</summary>
    public override long RowsPerTile => OutFeatures;
}
