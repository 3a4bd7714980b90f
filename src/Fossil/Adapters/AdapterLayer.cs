using Fossil.Kernels.OneRow;
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

    /// <summary>What it adds to the output for a single row without a gradient; null where that is computed in another way.</summary>
    internal virtual RowTerm? RowTerm => null;

    /// <summary>Whether several layers of this kind act one after the other on the weight (Bat) or on what it computes (IA3), instead of adding up.</summary>
    public virtual bool Chains => false;

    /// <summary>Whether the layer multiplies the input or the output (IA3), so that it acts after those that change the weight itself. It chains.</summary>
    internal virtual bool Scales => false;

    /// <summary>Whether the layer changes the bias too (IA3), where the target has one.</summary>
    internal virtual bool ChangesBias => false;

    /// <summary>When it acts among a target's layers: those that change the weight first, then those that scale, those that add what depends on the weight, and those that add.</summary>
    internal int Order => Chains ? (Scales ? 1 : 0) : DependsOnWeight ? 2 : 3;

    /// <summary>
    /// Whether the adapter takes over a part of the base weight (PiSSA). The weight itself stays as it is for all others; what the adapter adds counts from that part.
    /// Such an adapter neither comes nor goes while others are merged into the weight.
    /// </summary>
    public virtual bool ChangesBase => false;

    /// <summary>Whether the parameters start from values computed of the base weight (PiSSA, DoRA).</summary>
    internal virtual bool StartsFromBase => ChangesBase;

    /// <summary>Does nothing: no adapter changes the base weight any more.</summary>
    [Obsolete("No adapter changes the base weight, so there is nothing to restore.")]
    public virtual void RestoreBase()
    {
    }

    /// <summary>Whether the layer took part in a forward pass that a backward pass may follow.</summary>
    internal bool HasRun { get; set; }

    /// <summary>The tensors beside the parameters that training leaves as they are, as buffers (PiSSA: the factors that it started from).</summary>
    internal virtual IReadOnlyList<AdapterParameterName> BufferNames => [];

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

    /// <summary>As <see cref="MergeInto"/>, for the bias (out), where the layer <see cref="ChangesBias"/>.</summary>
    internal virtual void MergeIntoBias(Tensor bias, AdapterValues values)
    {
    }

    /// <summary>The inverse of <see cref="MergeIntoBias"/> with the same values.</summary>
    internal virtual void UnmergeFromBias(Tensor bias, AdapterValues values)
    {
    }

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

    /// <summary>The base weight as PEFT has it while the adapter is there, for an adapter's file: of PiSSA what the adapter does not take over. The caller's dispose scope owns it.</summary>
    internal virtual Tensor ToFileWeight(Tensor weight) => weight;

    /// <summary>The inverse of <see cref="ToFileWeight"/>, within rounding.</summary>
    internal virtual Tensor FromFileWeight(Tensor weight) => weight;

    /// <summary>The buffer of this kind, as it is registered now; null where there is none.</summary>
    internal Tensor? FindBuffer(AdapterParameterName name) => AdapterParameterStore.FindBuffer(Target.Owner, RegisteredName(name));

    /// <summary>The buffer of this kind, as it is registered now.</summary>
    /// <exception cref="AdapterStateException">It is gone or disposed.</exception>
    internal Tensor Buffer(AdapterParameterName name) => FindBuffer(name)
        ?? throw new AdapterStateException($"The buffer '{RegisteredName(name)}' of {Target.Owner.GetName()} is gone: it was disposed or removed from outside. Attach the adapters again.");

    /// <summary>Registers a buffer with a float32 copy of <paramref name="values"/>, or puts them into the one that is registered.</summary>
    internal void SetBuffer(AdapterParameterName name, Tensor values) => AdapterParameterStore.SetBuffer(Target.Owner, RegisteredName(name), values, Target.Base.Device);

    /// <summary>A copy of the current values, those of the buffers included, in <paramref name="dtype"/>.</summary>
    internal AdapterValues CopyValues(ScalarType dtype)
    {
        using var noGrad = no_grad();
        var values = new AdapterValues();
        try
        {
            foreach (var (name, parameter) in Parameters())
            {
                using var detached = parameter.detach();
                values.Add(name.Kind, detached.to(dtype, copy: true));
            }

            foreach (var name in BufferNames) values.Add(name.Kind, Buffer(name).to(dtype, copy: true));
            AddValues(values, dtype);
            return values;
        }
        catch
        {
            values.Dispose();
            throw;
        }
    }

    /// <summary>Adds what else merging needs.</summary>
    internal virtual void AddValues(AdapterValues values, ScalarType dtype)
    {
    }

    /// <summary>Unregisters and disposes the parameters and buffers, as far as there are any.</summary>
    internal void RemoveParameters()
    {
        foreach (var name in ParameterNames) AdapterParameterStore.Remove(Target.Owner, RegisteredName(name));
        foreach (var name in BufferNames) AdapterParameterStore.RemoveBuffer(Target.Owner, RegisteredName(name));
    }
}
