using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>A parameter of the base in an adapter's file.</summary>
/// <param name="Kind">What it is there.</param>
/// <param name="Place">Where it is in the model.</param>
internal readonly record struct BaseTensor(AdapterTensorKind Kind, WeightPlace Place)
{
    /// <summary>Its name in a file.</summary>
    public AdapterTensorName FileName => new(Kind, Place.Path, MemberNames.Written(Place.Name));

    /// <summary>Its name in the files of earlier versions.</summary>
    public AdapterTensorName RegisteredFileName => new(Kind, Place.Owner.RegisteredPath, Place.Name);
}

/// <summary>How an adapter uses a parameter of the base that it has values of its own for.</summary>
/// <param name="Tensors">What it is in a file: more than one where modules that share it are trained together.</param>
/// <param name="IsTogether">Whether all that share its memory change with it, as biases do and what <c>ensure_weight_tying</c> ties. Otherwise they keep the base's values.</param>
/// <param name="IsFrozen">Whether it is never trained: the base of an adapted module, as the adapter's file has it.</param>
internal sealed record TrainedBaseUse(IReadOnlyList<BaseTensor> Tensors, bool IsTogether = false, bool IsFrozen = false);

/// <summary>
/// A parameter of the base that adapters train and save whole: one of <c>modules_to_save</c>, or a bias. Calls of such modules are not rewired, so the values of the adapter
/// whose turn it is are put into the parameter itself; the others' wait here, and so do the base's own.
/// </summary>
/// <param name="place">The parameter.</param>
internal sealed class TrainedBaseParameter(WeightPlace place) : IDisposable
{
    private readonly Dictionary<string, Tensor> waiting = [];
    private readonly Dictionary<string, TrainedBaseUse> uses = [];
    private Separation? separation;

    // Null: the base's own values are in place.
    private string? current;

    /// <summary>The parameter.</summary>
    public WeightPlace Place { get; } = place;

    /// <summary>The parameter's name in the model.</summary>
    public string Name => Place.FullName;

    /// <summary>The adapters that have values of their own for it.</summary>
    public IReadOnlyCollection<string> Adapters => uses.Keys;

    /// <summary>The parameter as it is registered now.</summary>
    public Parameter Parameter => Find() ?? throw new AdapterStateException($"The base parameter '{Name}', which adapters train, is no longer in the model.");

    /// <summary>The parameter as it is registered now; null where it is gone.</summary>
    public Parameter? Find() => Place.Find() as Parameter;

    /// <summary>How an adapter uses it.</summary>
    public TrainedBaseUse UseOf(string adapterName) => uses[adapterName];

    /// <summary>Adds an adapter.</summary>
    public void Add(string adapterName, TrainedBaseUse use) => uses[adapterName] = use;

    /// <summary>Its own memory, where others share it; null where none was needed yet.</summary>
    public Separation? Separation => separation;

    /// <summary>Puts an adapter's values into the parameter, in memory of its own where it does not change with those that share it. An adapter starts from the base's values.</summary>
    public void Activate(string adapterName, WeightTies ties)
    {
        if (!uses[adapterName].IsTogether)
        {
            if (separation is null) separation = ties.Separate(Place);
            else separation.Resume();
        }

        Put(adapterName);
    }

    /// <summary>Puts the base's own values into the parameter, which those that shared it share again.</summary>
    public void Deactivate()
    {
        Put(null);
        separation?.Suspend();
    }

    private void Put(string? adapterName)
    {
        if (adapterName == current) return;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var parameter = Parameter;
        Keep(current, parameter.detach().clone());
        parameter.copy_(waiting.GetValueOrDefault(Key(adapterName)) ?? waiting[Key(null)]);
        current = adapterName;
    }

    /// <summary>The adapter whose values are in place; null where the base's own are.</summary>
    public string? Current => current;

    /// <summary>The values of an adapter: the parameter itself, or what waits. The caller does not own it.</summary>
    public Tensor ValuesOf(string adapterName) =>
        adapterName == current || (current is null && !waiting.ContainsKey(Key(adapterName))) ? Parameter : waiting.GetValueOrDefault(Key(adapterName)) ?? waiting[Key(null)];

    /// <summary>The base's own values: the parameter itself, or what waits. The caller does not own them.</summary>
    public Tensor BaseValues => current is null ? Parameter : waiting[Key(null)];

    /// <summary>Sets an adapter's values.</summary>
    public void SetValues(string adapterName, Tensor values)
    {
        using var noGrad = no_grad();
        if (adapterName == current) Parameter.copy_(values);
        else Keep(adapterName, values.detach().clone());
    }

    /// <summary>Drops an adapter's values; if they were in place and <paramref name="keepInPlace"/> is false, the base's own come back.</summary>
    public void Forget(string adapterName, bool keepInPlace)
    {
        uses.Remove(adapterName);
        if (current == adapterName)
        {
            if (keepInPlace || Find() is null)
            {
                separation?.Keep();
                (current, separation) = (null, null);
            }
            else Deactivate();
        }

        if (waiting.Remove(Key(adapterName), out var values)) values.Dispose();
    }

    /// <summary>Releases what waits.</summary>
    public void Dispose()
    {
        separation?.End();
        foreach (var values in waiting.Values) values.Dispose();
        waiting.Clear();
    }

    private void Keep(string? adapterName, Tensor values)
    {
        if (waiting.Remove(Key(adapterName), out var old)) old.Dispose();
        waiting[Key(adapterName)] = values.DetachFromDisposeScope();
    }

    // No adapter can be named so: a name is not empty.
    private static string Key(string? adapterName) => adapterName ?? string.Empty;
}
