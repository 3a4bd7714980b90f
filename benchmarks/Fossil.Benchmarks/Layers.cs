using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>One adapted projection.</summary>
[FossilAdapt("proj", ShardSize = 64)]
internal sealed partial class AdaptedLayer : nn.Module<Tensor, Tensor>
{
    private readonly Linear proj;

    public AdaptedLayer(long inFeatures, long outFeatures, ScalarType dtype)
        : base(nameof(AdaptedLayer))
    {
        proj = nn.Linear(inFeatures, outFeatures, hasBias: false, dtype: dtype);
        RegisterComponents();
    }

    public Tensor Weight => proj.weight;

    public override Tensor forward(Tensor x) => proj.forward(x);
}

/// <summary>The layer as PEFT's <c>MissLinear.forward</c> computes it, with the same libtorch's operations and their own backward passes.</summary>
internal static class Reference
{
    public static Tensor Forward(Tensor x, Tensor weight, Tensor shard)
    {
        var result = nn.functional.linear(x, weight);
        var wide = x.to(shard.dtype);
        var r = shard.shape[0];
        var sum = wide.reshape([.. wide.shape[..^1], wide.shape[^1] / r, r]).sum(-2);
        return (result + sum.matmul(shard)).to(x.dtype);
    }
}
