using Fossil.Models.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Root mean square norm: x / sqrt(mean(x²) + eps) · weight, computed in float32 (…, n).</summary>
public sealed class RMSNorm : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly double eps;

    internal RMSNorm(int size, double eps, ScalarType dtype, Device? device) : base(nameof(RMSNorm))
    {
        this.eps = eps;
        weight = Projection.Allocate([size], dtype, device);
        RegisterComponents();
    }

    /// <summary>(n).</summary>
    internal Parameter Weight => weight;

    /// <summary>What is added to the mean square.</summary>
    internal double Epsilon => eps;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => RmsNormCall.Run(x, weight, eps);
}
