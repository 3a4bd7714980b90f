using System.Runtime.CompilerServices;
using Fossil.Targets;
using TorchSharp.Modules;

namespace Fossil.Adapters;

/// <summary>The parameters of a model's adapters: from when they are registered to when they are removed, and what an optimizer needs to know of them.</summary>
/// <param name="adapters">The adapters.</param>
/// <param name="owner">The model that they belong to.</param>
internal sealed class AdapterParameters(AdapterSet adapters, AdaptedModel owner)
{
    private const int NamedAtMost = 20;

    private static readonly ConditionalWeakTable<Parameter, AdaptedModel> Owners = [];

    /// <summary>The models whose adapters these parameters belong to.</summary>
    public static IReadOnlyList<AdaptedModel> OwnersOf(IEnumerable<Parameter> parameters) =>
        [.. parameters.Select(parameter => Owners.TryGetValue(parameter, out var owner) ? owner : null).OfType<AdaptedModel>().Distinct()];

    /// <summary>Those of the parameters, each once, that belong to an adapted model and to whose memory nothing else of it refers: their values can be moved.</summary>
    public static IReadOnlyList<Parameter> Movable(IReadOnlyList<Parameter> parameters)
    {
        var shared = OwnersOf(parameters).SelectMany(owner => owner.SharedParameters()).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance);
        return [.. parameters.Distinct<Parameter>(ReferenceEqualityComparer.Instance).Where(parameter => Owners.TryGetValue(parameter, out _) && !shared.Contains(parameter) && parameter.numel() > 0)];
    }

    /// <summary>The parameters of layers that never ran: nothing was computed from them.</summary>
    public IEnumerable<Parameter> Unused() => adapters.Layers.Where(layer => !layer.HasRun).SelectMany(layer => layer.Parameters()).Select(entry => entry.Parameter);

    /// <summary>The parameters of layers that share theirs, each with a view of its own.</summary>
    public IEnumerable<Parameter> Shared() =>
        adapters.Layers.Where(layer => layer.TiedTo is not null).SelectMany(layer => layer.Parameters().Concat(layer.TiedTo!.Parameters())).Select(entry => entry.Parameter);

    /// <summary>Creates and registers an adapter's parameters, and lets its targets know its layers.</summary>
    public void Create(AttachedAdapter adapter)
    {
        // Those that share another layer's parameters come after it.
        foreach (var layer in adapter.Layers.OrderBy(layer => layer.TiedTo is not null))
        {
            layer.CreateParameters(trainable: false, layer.Target.Base.Device);
            layer.Target.AddLayer(layer);
            DispatchTable.Update(layer.Target);
        }
    }

    /// <summary>The inverse of <see cref="Create"/>, also of one that stopped half-way.</summary>
    public void Remove(AttachedAdapter adapter)
    {
        foreach (var layer in adapter.Layers)
        {
            layer.RemoveParameters();
            layer.Target.RemoveLayer(layer);
            DispatchTable.Update(layer.Target);
        }
    }

    /// <summary>Finds every adapter's parameters, so that nothing is changed half where one was removed from outside.</summary>
    /// <exception cref="AdapterStateException">One is gone.</exception>
    public void Check()
    {
        foreach (var layer in adapters.Layers) Find(layer);
    }

    /// <summary>Lets those of the adapters that are trained require a gradient, and no others.</summary>
    public void ApplyRequiresGrad()
    {
        foreach (var adapter in adapters.All)
        {
            var train = adapters.IsTrained(adapter);
            foreach (var (_, parameter) in adapter.Layers.SelectMany(layer => layer.Parameters()))
            {
                parameter.requires_grad = train;
                Own(parameter);
            }
        }
    }

    /// <summary>The parameters of the model that require a gradient, as they are registered now.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Trainable()
    {
        // .to gives layers that share their parameters each their own: asking for them ties them again.
        foreach (var layer in adapters.Layers.Where(layer => layer.TiedTo is not null)) Find(layer);
        var trainable = owner.Model.named_parameters().Where(named => named.parameter.requires_grad).ToArray();
        foreach (var (_, parameter) in trainable) Own(parameter);
        return [.. trainable];
    }

    /// <summary>Says which parameters of active adapters took part in a forward pass and yet got no gradient: an optimizer leaves such out without a word.</summary>
    /// <param name="without">The parameters of an optimizer that have no gradient.</param>
    public void ReportMissingGradients(IReadOnlySet<Parameter> without)
    {
        string[] names =
        [
            .. from layer in adapters.Layers
               where layer.HasRun
               from entry in layer.Parameters()
               where entry.Parameter.requires_grad && without.Contains(entry.Parameter)
               select $"{layer.Target.Path}.{entry.Name.Registered(layer.AdapterName)}",
        ];
        if (names.Length == 0) return;
        FossilWarnings.Report(
            $"After the first backward pass {names.Length} adapter parameter{(names.Length == 1 ? " has" : "s have")} no gradient, although the layer ran: {string.Join(", ", names.Take(NamedAtMost))}{(names.Length > NamedAtMost ? ", …" : string.Empty)}. "
            + "They are not trained. Does the loss depend on these layers, and is nothing between them and the loss detached or computed under no_grad()?");
    }

    private static void Find(AdapterLayer layer)
    {
        foreach (var name in layer.ParameterNames) layer.Parameter(name);
    }

    private void Own(Parameter parameter) => Owners.AddOrUpdate(parameter, owner);
}
