using Fossil.Targets;
using Fossil.Weights;

namespace Fossil.Adapters;

/// <summary>Targets whose weight others share: an output layer and the embedding that it is tied to (PEFT: <c>ensure_weight_tying</c>).</summary>
/// <param name="modelTargets">The model's modules.</param>
/// <param name="ties">What shares memory in the model now.</param>
/// <param name="trainedBase">The parameters of the base that adapters train.</param>
internal sealed class TiedTargets(ModelTargets modelTargets, Func<WeightTies> ties, TrainedBase trainedBase)
{
    /// <summary>The targets with those that share the embedding's weight with one of them, where the configuration ties their adapters.</summary>
    /// <exception cref="NotAdaptableException">One of those cannot be adapted.</exception>
    public IReadOnlyList<AdaptedTarget> With(AdapterConfig config, IReadOnlyList<AdaptedTarget> targets)
    {
        if (!config.TiesWeights || IsSavingTied(config)) return targets;
        var now = ties();
        var tied = targets.Select(target => now.WithEmbedding(target.WeightPlace)).OfType<IReadOnlyList<WeightPlace>>().SelectMany(places => places).Select(place => place.Module).ToHashSet();
        return [.. modelTargets.Modules.Where(entry => tied.Contains(entry.Module) || targets.Any(target => target.Module == entry.Module)).Select(entry => modelTargets.Find(entry.Module) ?? throw new TargetRefusal(modelTargets, config).Chosen([entry.Path]))];
    }

    /// <summary>Lets the layers of targets that share the embedding's weight share its layer's parameters.</summary>
    public void Link(AttachedAdapter adapter)
    {
        if (!adapter.Config.TiesWeights) return;
        var now = ties();
        foreach (var layer in adapter.Layers)
        {
            if (now.WithEmbedding(layer.Target.WeightPlace) is not [var embedding, ..] || embedding.Module == layer.Target.Module) continue;
            layer.TiedTo = adapter.Layers.Find(other => other.Target.Module == embedding.Module);
        }
    }

    /// <summary>Says which of the modules that an adapter changes share their weight with others, which it does not change.</summary>
    public void Warn(AttachedAdapter adapter)
    {
        var now = ties();
        var saved = trainedBase.Of(adapter).ToArray();
        if (adapter.Config.TiesWeights)
        {
            if (!adapter.Layers.Exists(layer => layer.TiedTo is not null) && !saved.Any(parameter => parameter.UseOf(adapter.Name) is { IsTogether: true, Tensors.Count: > 1 }))
                FossilWarnings.Report($"'{adapter.Name}' asks for ensure_weight_tying, but none of its target_modules and modules_to_save shares its weight with an embedding.");
            return;
        }

        var apart = adapter.Layers.Select(layer => layer.Target.WeightPlace).Concat(saved.Where(parameter => !parameter.UseOf(adapter.Name).IsTogether).Select(parameter => parameter.Place));
        foreach (var place in apart)
        {
            if (now.Sharing(place) is not [var other, ..]) continue;
            FossilWarnings.Report(
                $"'{place.FullName}' shares its memory with '{other.FullName}', and '{adapter.Name}' changes it alone: the two are the same only while the adapter is off. Merged or saved with the model, each has a weight of its own. (ensure_weight_tying, where the method's configuration has it, changes both together.)");
        }
    }

    /// <summary>As in PEFT, what is tied among the saved modules comes first: the targets are then left as they are.</summary>
    private bool IsSavingTied(AdapterConfig config)
    {
        var paths = TargetSelector.SelectModulesToSave(config, modelTargets.Modules.Select(entry => entry.Path));
        if (paths.Count == 0) return false;
        var now = ties();
        return paths.SelectMany(trainedBase.PlacesIn).Any(place => now.WithEmbedding(place) is not null);
    }
}
