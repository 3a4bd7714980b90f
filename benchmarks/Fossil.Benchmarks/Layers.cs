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

/// <summary>Brings kernels of further shard sizes into this program.</summary>
[FossilAdapt("r1", ShardSize = 1)]
[FossilAdapt("r4", ShardSize = 4)]
[FossilAdapt("r8", ShardSize = 8)]
[FossilAdapt("r16", ShardSize = 16)]
[FossilAdapt("r32", ShardSize = 32)]
[FossilAdapt("r64", ShardSize = 64)]
[FossilAdapt("r128", ShardSize = 128)]
[FossilAdapt("r256", ShardSize = 256)]
internal sealed partial class KernelSizes : nn.Module<Tensor, Tensor>
{
    private readonly Linear r1 = Projection(), r4 = Projection(), r8 = Projection(), r16 = Projection(), r32 = Projection(), r64 = Projection(), r128 = Projection(), r256 = Projection();

    public KernelSizes()
        : base(nameof(KernelSizes)) => RegisterComponents();

    public override Tensor forward(Tensor x) => r256.forward(r128.forward(r64.forward(r32.forward(r16.forward(r8.forward(r4.forward(r1.forward(x))))))));

    private static Linear Projection() => nn.Linear(256, 256);
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
