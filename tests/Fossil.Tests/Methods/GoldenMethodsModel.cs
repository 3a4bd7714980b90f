using Fossil.CompilerServices;
using Fossil.Serialization;
using Fossil.TestData;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>The linears that a group of layer cases was attached to, with their adapters.</summary>
internal sealed class GoldenMethodsModel : nn.Module<Tensor, Tensor>, IFossilAdaptable
{
    private readonly Dictionary<string, Linear> linears = [];
    private readonly Dictionary<string, SafetensorsFile> files = [];

    public GoldenMethodsModel(IReadOnlyList<GoldenMethodsLayer> group)
        : base(nameof(GoldenMethodsModel))
    {
        using var noGrad = no_grad();
        Group = group;
        foreach (var layer in group)
        {
            var linear = nn.Linear(layer.InFeatures, layer.OutFeatures, layer.HasBias, dtype: layer.BaseDtype);
            files.Add(layer.Linear, layer.Open());
            linears.Add(layer.Linear, linear);
            register_module(layer.Linear, linear);
            linear.weight.copy_(Tensor(layer, "weight"));
            if (layer.HasBias) linear.bias!.copy_(Tensor(layer, "bias"));
        }

        foreach (var adapter in group.SelectMany(layer => layer.Adapters.Select(entry => entry.Key)).Distinct())
        {
            var config = group.First(layer => layer.Adapters.Any(entry => entry.Key == adapter)).Config(adapter);
            if (Adapted is null) Adapted = this.AttachAdapters(config, adapter);
            else Adapted.AddAdapter(adapter, config);
        }

        Adapted!.SetAdapter([.. Adapted.AdapterNames]);
    }

    public IReadOnlyList<GoldenMethodsLayer> Group { get; }

    public AdaptedModel Adapted { get; } = null!;

    public Linear Linear(GoldenMethodsLayer layer) => linears[layer.Linear];

    /// <summary>A tensor of a case's file; the caller's dispose scope owns it.</summary>
    public Tensor Tensor(GoldenMethodsLayer layer, string name) => files[layer.Linear].Load(name);

    public bool Has(GoldenMethodsLayer layer, string name) => files[layer.Linear].Names.Contains(name);

    /// <summary>Gives the parameters the trained values.</summary>
    public void SetTrainedValues()
    {
        using var noGrad = no_grad();
        foreach (var (layer, adapter, name, parameter) in Parameters()) parameter.copy_(Tensor(layer, $"{adapter}.{name}"));
    }

    public IEnumerable<(GoldenMethodsLayer Layer, string Adapter, string Name, Parameter Parameter)> Parameters() =>
        from layer in Group
        from adapter in Adapted.Targets.Single(target => target.Module == linears[layer.Linear]).Layers
        from entry in adapter.Parameters()
        select (layer, adapter.AdapterName, entry.Name.Kind, entry.Parameter);

    public Tensor Run(GoldenMethodsLayer layer, Tensor x) => AdapterDispatch.Forward(linears[layer.Linear], x);

    public override Tensor forward(Tensor input) => throw new NotSupportedException("Each linear is run by itself.");

    public void CollectAdapterTargets(AdapterTargetCollector targets)
    {
        foreach (var (name, linear) in linears) targets.Add(name, linear, new AdapterDefaults());
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Adapted.Dispose();
            foreach (var file in files.Values) file.Dispose();
        }

        base.Dispose(disposing);
    }
}
