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
        var method = parts[0].Method;
        if (Array.Find(parts, part => part.Method != method) is { } other)
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
                    var missing = 0.0;
                    parameter.zero_();
                    for (var i = 0; i < parts.Length; i++)
                    {
                        if (layer.Target.FindLayer(parts[i].Name) is not { } source) missing += weights[i] * method.Neutral;
                        else if (source.Parameter(name) is var own && own.shape.SequenceEqual(parameter.shape)) parameter.add_(own, Scalars.Of(weights[i]));
                        else throw new AdapterCombinationException($"The '{name.Kind}' of '{parts[i].Name}' on '{layer.Target.Path}' has shape ({string.Join(", ", own.shape)}), which does not add up with ({string.Join(", ", parameter.shape)}).");
                    }

                    if (missing != 0) parameter.add_(Scalars.Of(missing), Scalars.One);
                }
            }
        });
        ApplyState();
    }

    /// <summary>The change that an adapter makes to each weight, as a product, for the formats of other libraries.</summary>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains parameters of the base, which no product can carry.</exception>
    internal LowRankChanges OpenChanges(string adapterName, int? rank, double? energy)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        return trainedBase.Of(adapter).FirstOrDefault() is { } trained
            ? throw new AdapterCombinationException($"'{adapterName}' has its own '{trained.Name}' of the base model too, which a LoRA alone cannot carry. Merge it and export the model instead.")
            : ChangesOf(adapter, rank, energy);
    }

    /// <summary>The changes of the base weights, which must not hold merged adapters while they are computed.</summary>
    internal LowRankChanges ChangesOf(AttachedAdapter adapter, int? rank, double? energy)
    {
        using var basis = adapter.Layers.Exists(layer => layer.DependsOnWeight) ? mergedBase.WithBase() : null;
        return LowRankChanges.Of(adapter, rank, energy);
    }

    /// <summary>Adds an adapter that does what another one does, inactive. What that one trains of the base goes along.</summary>
    /// <param name="source">The other adapter.</param>
    /// <param name="newName">The new one's name.</param>
    /// <param name="config">The new one's configuration.</param>
    /// <param name="fill">Sets the values of its parameters.</param>
    internal void AddConverted(AttachedAdapter source, string newName, AdapterConfig config, Action<AttachedAdapter> fill)
    {
        Create(newName, config, fill: converted =>
        {
            fill(converted);
            foreach (var parameter in trainedBase.Of(source).Where(parameter => parameter.Adapters.Contains(newName))) parameter.SetValues(newName, parameter.ValuesOf(source.Name));
        });
        ApplyState();
    }

    /// <summary>Writes an adapter in the form of another one. What it trains of the base goes along.</summary>
    internal void SaveConverted(string folder, AttachedAdapter source, AdapterConfig config, IEnumerable<(AdapterTensorName Name, Tensor Tensor)> converted) =>
        AdapterFile.SaveFolder(folder, config, [.. converted, .. tensors.OfTrainedBase(source)]);
}
