using Fossil.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>One adapter on one target: its settings, its parameters, and what it does to the base weight.</summary>
/// <param name="target">The target.</param>
/// <param name="adapterName">The adapter's name, e.g. <c>default</c>.</param>
public abstract class AdapterLayer(AdaptedTarget target, string adapterName)
{
    /// <summary>The target that is adapted.</summary>
    public AdaptedTarget Target { get; } = target;

    /// <summary>The adapter's name.</summary>
    public string AdapterName { get; } = adapterName;

    /// <summary>The layer of the embedding whose parameters this one shares (PEFT: <c>ensure_weight_tying</c>); null where it has its own.</summary>
    internal AdapterLayer? TiedTo { get; set; }

    /// <summary>The method that this layer belongs to.</summary>
    public abstract AdapterMethod Method { get; }

    /// <summary>The parameters that the layer has.</summary>
    public abstract IReadOnlyList<AdapterParameterName> ParameterNames { get; }

    /// <summary>
    /// Whether the change depends on the weight that it is made to (Bat, DoRA). Such a layer is merged before those that only add, and
    /// not onto a weight that other adapters are merged into, unless <see cref="Chains"/>.
    /// </summary>
    public virtual bool DependsOnWeight => false;

    /// <summary>Whether several layers of this kind act one after the other on the weight (Bat), instead of adding up.</summary>
    public virtual bool Chains => false;

    /// <summary>Whether creating the parameters changes the base weight (PiSSA). Such an adapter neither comes nor goes while others are merged into the weight.</summary>
    public virtual bool ChangesBase => false;

    /// <summary>Gives the base weight back what creating the parameters took out of it.</summary>
    public virtual void RestoreBase()
    {
    }

    /// <summary>Whether the layer took part in a forward pass that a backward pass may follow.</summary>
    internal bool HasRun { get; set; }

    /// <summary>Creates and registers the parameters with their initial values.</summary>
    /// <param name="trainable">Whether they require a gradient.</param>
    /// <param name="device">The device of the base weight.</param>
    public abstract void CreateParameters(bool trainable, Device device);

    /// <summary>Changes <paramref name="weight"/> (out, in), float32 or float64, in place to the merged weight.</summary>
    /// <param name="weight">A copy of the weight, which may be changed.</param>
    /// <param name="values">The adapter's values; the layer may add what <see cref="UnmergeFrom"/> needs.</param>
    public abstract void MergeInto(Tensor weight, AdapterValues values);

    /// <summary>The inverse of <see cref="MergeInto"/> with the same values.</summary>
    public abstract void UnmergeFrom(Tensor weight, AdapterValues values);

    /// <summary>A (k, in) and B (out, k) with B A the exact change of the weight; null where the change has no such form.</summary>
    public virtual (Tensor A, Tensor B)? LoraFactors(AdapterValues values) => null;

    /// <summary>The parameter of this kind, as it is registered now.</summary>
    public virtual Parameter Parameter(AdapterParameterName name) => AdapterParameterStore.Get(Target.Owner, RegisteredName(name));

    /// <summary>The parameters as they are registered now.</summary>
    public IEnumerable<(AdapterParameterName Name, Parameter Parameter)> Parameters() => ParameterNames.Select(name => (name, Parameter(name)));

    /// <summary>The name under which a parameter is registered on the owner: <c>q_proj.miss_block.default</c>.</summary>
    public string RegisteredName(AdapterParameterName name) => $"{Target.LocalPath}.{name.Registered(AdapterName)}";

    /// <summary>The name of a parameter in a file.</summary>
    internal AdapterTensorName FileName(AdapterParameterName name) => new(AdapterTensorKind.Adapter, Target.Path, name.FileSuffix);

    /// <summary>The name of a parameter in the files of earlier versions.</summary>
    internal AdapterTensorName RegisteredFileName(AdapterParameterName name) => new(AdapterTensorKind.Adapter, Target.RegisteredPath, name.FileSuffix);

    /// <summary>Registers a parameter, taking <paramref name="initial"/> over.</summary>
    protected void Create(AdapterParameterName name, Tensor initial, bool trainable) =>
        AdapterParameterStore.Create(Target.Owner, RegisteredName(name), initial, trainable);

    /// <summary>A copy of the current values in <paramref name="dtype"/>.</summary>
    internal AdapterValues CopyValues(ScalarType dtype)
    {
        using var noGrad = no_grad();
        var values = new AdapterValues();
        foreach (var (name, parameter) in Parameters())
        {
            using var detached = parameter.detach();
            values.Add(name.Kind, detached.to(dtype, copy: true));
        }
        return values;
    }

    /// <summary>Unregisters and disposes the parameters.</summary>
    internal void RemoveParameters()
    {
        foreach (var name in ParameterNames) AdapterParameterStore.Remove(Target.Owner, RegisteredName(name));
    }
}
