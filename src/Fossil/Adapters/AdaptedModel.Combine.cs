using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil;

/// <content>New adapters made from those that are there.</content>
public sealed partial class AdaptedModel
{
    /// <summary>
    /// Adds an adapter that is the weighted sum of others (PEFT: <c>add_weighted_adapter</c>, "linear"). For FOSSIL Balance and Mini of equal sizes it is exact: its change of the weight is the weighted sum of
    /// theirs. The new adapter is inactive.
    /// </summary>
    /// <param name="adapterNames">The adapters.</param>
    /// <param name="weights">A weight for each.</param>
    /// <param name="newName">The new adapter's name.</param>
    /// <exception cref="AdapterNameException">An adapter is unknown, or the new name is taken.</exception>
    /// <exception cref="AdapterCombinationException">The adapters are of kinds or sizes that do not add up.</exception>
    public void AddWeightedAdapter(IReadOnlyList<string> adapterNames, IReadOnlyList<double> weights, string newName)
    {
        using var entry = Enter();
        if (adapterNames.Count == 0 || adapterNames.Count != weights.Count)
            throw new AdapterCombinationException($"AddWeightedAdapter was given {adapterNames.Count} adapters and {weights.Count} weights: it needs one weight for each, and at least one adapter.");
        var parts = adapterNames.Select(Find).ToArray();
        var method = AdapterMethods.For(parts[0].Config);
        if (Array.Find(parts, part => AdapterMethods.For(part.Config) != method) is { } other)
            throw new AdapterCombinationException($"'{parts[0].Name}' ({method.PeftType}) and '{other.Name}' ({other.Config.PeftType}) are of different methods, so their parameters cannot be added up.");
        if (trainedBase.FirstOf([.. parts.Select(part => part.Name)]) is { } whole)
            throw new AdapterCombinationException($"An adapter that has its own '{whole.Name}' (modules_to_save or bias) cannot be combined with others.");

        var paths = Targets.Select(target => target.Path).Where(path => parts.Any(part => part.Layers.Any(layer => layer.Target.Path == path))).ToArray();
        var config = method.CombinedConfig([.. parts.Select(part => part.Config)]) with { TargetModules = paths, ExcludeModules = null, LayersToTransform = null, LayersPattern = null, InferenceMode = false };
        Create(newName, config, fill: combined =>
        {
            foreach (var layer in combined.Layers)
            {
                using var scope = NewDisposeScope();
                foreach (var (name, parameter) in layer.Parameters())
                {
                    parameter.zero_();
                    for (var i = 0; i < parts.Length; i++)
                    {
                        if (layer.Target.FindLayer(parts[i].Name) is { } source) parameter.add_(source.Parameter(name), Scalars.Of(weights[i]));
                    }
                }
            }
        });
        ApplyState();
    }

    /// <summary>
    /// Adds a LoRA adapter that does what another adapter does (PEFT: <c>convert_to_lora</c>), scale included. For FOSSIL Balance, padded and Mini nothing is lost, and neither <paramref name="rank"/> nor
    /// <paramref name="energy"/> is needed; other adapters' change of the weight is cut to its largest singular values. The new adapter is inactive.
    /// </summary>
    /// <param name="newName">The new adapter's name.</param>
    /// <param name="adapterName">The adapter to convert.</param>
    /// <param name="rank">How many singular values to keep.</param>
    /// <param name="energy">Instead of a rank: the smallest one that keeps this share, from 0 to 1, of the sum of their squares.</param>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains biases.</exception>
    public void ConvertToLora(string newName, string adapterName = DefaultAdapterName, int? rank = null, double? energy = null)
    {
        using var entry = Enter();
        var adapter = Find(adapterName);
        using var conversion = Convert(adapter, rank, energy);
        Create(newName, conversion.Config, fill: converted =>
        {
            foreach (var layer in converted.Layers)
            {
                foreach (var (name, parameter) in layer.Parameters()) parameter.copy_(conversion.Factor(layer.Target, name.FileSuffix));
            }

            foreach (var parameter in trainedBase.Of(adapter).Where(parameter => parameter.Adapters.Contains(newName))) parameter.SetValues(newName, parameter.ValuesOf(adapterName));
        });
        ApplyState();
    }

    /// <summary>Writes an adapter's conversion to LoRA as a folder that PEFT reads (PEFT: <c>save_as_lora</c>).</summary>
    /// <param name="folder">The folder, made where it is missing.</param>
    /// <param name="adapterName">The adapter to convert.</param>
    /// <param name="rank">As in <see cref="ConvertToLora"/>.</param>
    /// <param name="energy">As in <see cref="ConvertToLora"/>.</param>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains biases.</exception>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public void SaveAsLora(string folder, string adapterName = DefaultAdapterName, int? rank = null, double? energy = null)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        using var conversion = Convert(adapter, rank, energy);
        AdapterFile.SaveFolder(folder, conversion.Config, [.. conversion.Tensors, .. tensors.OfTrainedBase(adapter)]);
    }

    /// <summary>An adapter's conversion to LoRA, for the file formats of other libraries.</summary>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains parameters of the base, which no LoRA can carry.</exception>
    internal LoraConversion OpenLoraConversion(string adapterName, int? rank, double? energy)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        return trainedBase.Of(adapter).FirstOrDefault() is { } trained
            ? throw new AdapterCombinationException($"'{adapterName}' has its own '{trained.Name}' of the base model too, which a LoRA alone cannot carry. Merge it and export the model instead.")
            : Convert(adapter, rank, energy);
    }

    /// <summary>The conversion of an adapter's change of the base weight, which must not hold merged adapters while it is computed.</summary>
    private LoraConversion Convert(AttachedAdapter adapter, int? rank, double? energy)
    {
        using var basis = adapter.Layers.Exists(layer => layer.DependsOnWeight) ? mergedBase.WithBase() : null;
        return LoraConversion.Of(adapter, rank, energy);
    }
}
