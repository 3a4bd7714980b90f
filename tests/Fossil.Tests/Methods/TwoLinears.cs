using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>The model of the golden data's <c>errors.json</c>: a, 16 to 12, and b, 12 to 24, with an embedding beside them.</summary>
internal sealed class TwoLinears : nn.Module<Tensor, Tensor>, IFossilAdaptable
{
    public readonly Linear a = nn.Linear(16, 12);
    public readonly Linear b = nn.Linear(12, 24);
    public readonly Embedding e = nn.Embedding(5, 16);

    public TwoLinears()
        : base(nameof(TwoLinears))
    {
        RegisterComponents();
        using var noGrad = no_grad();
        using var generator = new Generator(3);
        foreach (var parameter in parameters()) parameter.copy_(randn(parameter.shape, generator: generator) * 0.3);
    }

    public static Tensor Input(long rows = 4)
    {
        using var generator = new Generator(5);
        return randn([rows, 3, 16], generator: generator);
    }

    public override Tensor forward(Tensor input) => AdapterDispatch.Forward(b, AdapterDispatch.Forward(a, input).relu());

    public void CollectAdapterTargets(AdapterTargetCollector targets)
    {
        targets.Add(nameof(a), a, new AdapterDefaults(ShardSize: 4));
        targets.Add(nameof(b), b, new AdapterDefaults(ShardSize: 4));
        targets.Add(nameof(e), e, new AdapterDefaults { OnRequest = true });
    }

    /// <summary>Gives the parameters of all adapters values as after some training.</summary>
    public static void Train(AdaptedModel adapted, ulong seed = 7)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(seed);
        foreach (var layer in adapted.Targets.SelectMany(target => target.Layers))
        {
            foreach (var (_, parameter) in layer.Parameters()) parameter.copy_(rand(parameter.shape, generator: generator) + 0.5);
        }
    }
}
