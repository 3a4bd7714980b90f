using Fossil.Concurrency;
using Fossil.Models.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Root mean square norm by 1 + weight (Gemma): x / sqrt(mean(x²) + eps) · (1 + weight), (…, n), rounded to the dtype of x once, at the end.</summary>
public sealed class UnitOffsetRMSNorm : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly double eps;

    internal UnitOffsetRMSNorm(int size, double eps, ScalarType dtype, Device? device) : base(nameof(UnitOffsetRMSNorm))
    {
        this.eps = eps;
        weight = Projection.Allocate([size], dtype, device);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        // Of the weight in bfloat16, 1 + weight would keep next to nothing.
        var wide = x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        return RmsNormCall.Run(x.to(wide), weight.to(wide).add(Scalars.One, Scalars.One), eps).to(x.dtype).MoveToOuterDisposeScope();
    }
}
