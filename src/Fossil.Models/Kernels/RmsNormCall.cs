using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// y = x · s · w with s = 1 / sqrt(mean(x²) + eps) for each row, in one pass; keeps x and s.
/// Backward: dx = s (dy w − x s² mean(dy w x)), dw = Σ dy x s. In float32, forward pass and dx are those of PyTorch's separate operations bit for bit.
/// </summary>
internal sealed class RmsNormCall : AdapterCall
{
    private readonly IRmsNorm kernel;
    private readonly CallInput x;
    private readonly CallInput weight;
    private readonly long size;
    private readonly double eps;
    private CallTensor? scales;

    private RmsNormCall(IRmsNorm kernel, Tensor x, Tensor weight, double eps) =>
        (this.kernel, this.x, this.weight, size, this.eps) = (kernel, Input(x), Input(weight), weight.size(0), eps);

    /// <summary>The norm of each row of <paramref name="x"/> (…, n), weighted by <paramref name="weight"/> (n).</summary>
    public static Tensor Run(Tensor x, Tensor weight, double eps)
    {
        if (KernelRegistry.Find<IRmsNorm>(weight.size(0), x, weight) is { } kernel) return AdapterFunction.Run(new RmsNormCall(kernel, x, weight, eps));

        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        var normed = wide * wide.pow(Scalars.Two).mean([-1], keepdim: true).add(Scalars.Of(eps), Scalars.One).rsqrt();
        return (normed.to(x.dtype) * weight).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var input = x.Value;
        var y = empty(input.shape, dtype: input.dtype, device: input.device);
        scales = SaveOwned(empty(input.numel() / size, 1, dtype: ScalarType.Float32, device: input.device));
        kernel.Forward(Of(input.contiguous()), Of(weight.Value), Of(y), KernelMatrix.Of(scales.Value), eps);
        Save(x);
        Save(weight);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var input = x.Value;
        var (source, dy, scale) = (Of(input.contiguous()), Of(gradOutput.contiguous()), KernelMatrix.Of(scales!.Value));
        if (x.NeedsGradient)
        {
            var gradient = empty(input.shape, dtype: input.dtype, device: input.device);
            kernel.InputGradient(source, Of(weight.Value), dy, Of(gradient), scale);
            x.Gradient = gradient;
        }
        if (weight.NeedsGradient)
        {
            var gradient = empty(size, dtype: input.dtype, device: input.device);
            kernel.WeightGradient(source, dy, Of(gradient), scale);
            weight.Gradient = gradient;
        }
    }

    private KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor, size);
}
