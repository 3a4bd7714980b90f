using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>
/// A module with one projection, as the generator would complete it: written by hand, so that these tests show the run time alone.
/// </summary>
internal sealed class OneLinear : nn.Module<Tensor, Tensor>, IFossilAdaptable
{
    private readonly AdapterDefaults defaults;

    public OneLinear(long inFeatures, long outFeatures, bool bias = true, ScalarType dtype = ScalarType.Float32, AdapterDefaults? defaults = null)
        : base(nameof(OneLinear))
    {
        this.defaults = defaults ?? new AdapterDefaults(ShardSize: 4);
        proj = nn.Linear(inFeatures, outFeatures, bias, dtype: dtype);
        RegisterComponents();
    }

    public readonly Linear proj;

    public override Tensor forward(Tensor input) => AdapterDispatch.Forward(proj, input);

    /// <summary>The base alone. (A call of <c>proj.forward</c> in a test is rewired too.)</summary>
    public Tensor Base(Tensor input) => nn.functional.linear(input, proj.weight, proj.bias);

    public void CollectAdapterTargets(AdapterTargetCollector targets) => targets.Add(nameof(proj), proj, defaults);
}
