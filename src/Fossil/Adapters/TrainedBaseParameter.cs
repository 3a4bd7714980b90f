using Fossil.Serialization;
using Fossil.Targets;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// A parameter of the base that adapters train and save whole: one of <c>modules_to_save</c>, or a bias. Calls of such modules are not rewired, so the values of the adapter
/// whose turn it is are put into the parameter itself; the others' wait here, and so do the base's own.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="name">The parameter's name in the model.</param>
/// <param name="fileName">Its name in a file.</param>
internal sealed class TrainedBaseParameter(nn.Module model, string name, AdapterTensorName fileName) : IDisposable
{
    private readonly Dictionary<string, Tensor> waiting = [];

    // Null: the base's own values are in place.
    private string? current;

    /// <summary>The parameter's name in the model.</summary>
    public string Name { get; } = name;

    /// <summary>Its name in a file.</summary>
    public AdapterTensorName FileName { get; } = fileName;

    /// <summary>Its name in the files of earlier versions.</summary>
    public AdapterTensorName RegisteredFileName
    {
        get
        {
            var (module, ownName) = NamedModule.Split(Name);
            return new(FileName.Kind, module, ownName);
        }
    }

    /// <summary>The adapters that train it.</summary>
    public HashSet<string> Adapters { get; } = [];

    /// <summary>The parameter as it is registered now.</summary>
    public Parameter Parameter => Find() ?? throw new AdapterStateException($"The base parameter '{Name}', which adapters train, is no longer in the model.");

    /// <summary>The parameter as it is registered now; null where it is gone.</summary>
    public Parameter? Find() => model.get_parameter(Name) is { IsInvalid: false } parameter ? parameter : null;

    /// <summary>Puts an adapter's values, or with null the base's own, into the parameter. An adapter starts from the base's values.</summary>
    public void Activate(string? adapterName)
    {
        if (adapterName == current) return;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var parameter = Parameter;
        Keep(current, parameter.detach().clone());
        parameter.copy_(waiting.GetValueOrDefault(Key(adapterName)) ?? waiting[Key(null)]);
        current = adapterName;
    }

    /// <summary>The values of an adapter: the parameter itself, or what waits. The caller does not own it.</summary>
    public Tensor ValuesOf(string adapterName) =>
        adapterName == current || (current is null && !waiting.ContainsKey(Key(adapterName))) ? Parameter : waiting.GetValueOrDefault(Key(adapterName)) ?? waiting[Key(null)];

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
        Adapters.Remove(adapterName);
        if (current == adapterName)
        {
            if (keepInPlace || Find() is null) current = null;
            else Activate(null);
        }

        if (waiting.Remove(Key(adapterName), out var values)) values.Dispose();
    }

    /// <summary>Releases what waits.</summary>
    public void Dispose()
    {
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
