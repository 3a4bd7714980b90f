using Fossil.Autograd;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>y = x Wᵀ + b of a weight in any form: dx = dy W, db = Σ dy. Nothing of the input's size is kept.</summary>
internal sealed class WeightProduct : AdapterCall
{
    private readonly CallInput input;
    private readonly CallWeight weight;
    private readonly CallInput bias;
    private readonly long[] shape;

    private WeightProduct(LinearWeight weight, Tensor input, Tensor? bias) => (this.input, this.weight, this.bias, shape) = (Input(input), Input(weight), Input(bias), input.shape);

    public static Tensor Run(LinearWeight weight, Tensor input, Tensor? bias) => AdapterFunction.Run(new WeightProduct(weight, input, bias));

    public override Tensor Forward()
    {
        var output = DecodingPass.IsActive ? weight.Value.DecodingProduct(Flat(input.Value), bias.Optional) : weight.Value.Product(Flat(input.Value), bias.Optional);
        Save(weight);
        return output.view([.. shape[..^1], output.size(1)]).detach();
    }

    public override void Backward(Tensor gradOutput)
    {
        var grad = Flat(gradOutput);
        if (input.NeedsGradient) input.Gradient = weight.Value.InputGradient(grad).view(shape);
        if (bias.NeedsGradient) bias.Gradient = grad.sum(dim: 0);
    }

    private Tensor Flat(Tensor tensor) => tensor.reshape(ShardOperations.Rows(shape), tensor.size(-1)).contiguous();
}
