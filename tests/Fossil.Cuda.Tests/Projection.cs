using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>A model of one projection.</summary>
[FossilAdapt("proj", ShardSize = 16)]
internal sealed partial class Projection : nn.Module<Tensor, Tensor>
{
    private readonly Linear proj;

    public Projection(long inFeatures, long outFeatures, ScalarType dtype)
        : base(nameof(Projection))
    {
        proj = nn.Linear(inFeatures, outFeatures, dtype: dtype);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => proj.forward(input);
}
