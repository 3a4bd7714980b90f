using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil;

/// <content>The values of an adapter that is being trained.</content>
public sealed partial class AdaptedModel
{
    /// <summary>
    /// Writes the adapter's tensors, and its configuration where one says everything: with different settings on different targets the tensors alone,
    /// which <see cref="LoadValues"/> puts back into the same adapter.
    /// </summary>
    internal void SaveValues(string folder, string adapterName)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        if (adapter.HasOneConfig)
        {
            SavePretrained(folder, adapterName);
            return;
        }

        using var scope = NewDisposeScope();
        AtomicFile.Write(Path.Combine(folder, AdapterFile.FileName), stream => AdapterFile.Write(stream, FileTensorsOf(adapter)));
    }

    /// <summary>Reads the tensors that <see cref="SaveValues"/> wrote into the adapter's own parameters: all of them, or none.</summary>
    internal void LoadValues(string folder, string adapterName)
    {
        using var entry = Enter();
        var adapter = Find(adapterName);
        using var source = AdapterFolder.Open(folder, adapter.Config);
        Load(adapter, source);
    }
}
