using Fossil.Adapters;
using Fossil.Targets;

namespace Fossil;

/// <content>Modules whose weight others share: an output layer and the embedding that it is tied to.</content>
public sealed partial class AdaptedModel
{
    private WeightTies Ties() => new(finder.Modules, trainedBase.Select(parameter => parameter.Separation).Concat(mergedTargets.Values.Select(merged => merged.Separation)).OfType<Separation>());

    /// <summary>The targets with those that share the embedding's weight with one of them, where the configuration ties their adapters (PEFT: <c>ensure_weight_tying</c>).</summary>
    private IReadOnlyList<AdaptedTarget> WithTied(AdapterConfig config, IReadOnlyList<AdaptedTarget> targets)
    {
        if (!config.TiesWeights || IsSavingTied(config)) return targets;
        var ties = Ties();
        var tied = targets.Select(target => ties.WithEmbedding(target.WeightPlace)).OfType<IReadOnlyList<WeightPlace>>().SelectMany(places => places).Select(place => place.Module).ToHashSet();
        return [.. finder.Modules.Where(entry => tied.Contains(entry.Module) || targets.Any(target => target.Module == entry.Module)).Select(entry => finder.Find(entry.Module) ?? throw new TargetRefusal(finder, config).Chosen([entry.Path]))];
    }

    /// <summary>As in PEFT, what is tied among the saved modules comes first: the targets are then left as they are.</summary>
    private bool IsSavingTied(AdapterConfig config)
    {
        var paths = TargetSelector.SelectModulesToSave(config, finder.Modules.Select(entry => entry.Path));
        if (paths.Count == 0) return false;
        var ties = Ties();
        return paths.SelectMany(PlacesIn).Any(place => ties.WithEmbedding(place) is not null);
    }

    /// <summary>Lets the layers of targets that share the embedding's weight share its layer's parameters.</summary>
    private void LinkTied(AttachedAdapter adapter)
    {
        if (!adapter.Config.TiesWeights) return;
        var ties = Ties();
        foreach (var layer in adapter.Layers)
        {
            if (ties.WithEmbedding(layer.Target.WeightPlace) is not [var embedding, ..] || embedding.Module == layer.Target.Module) continue;
            layer.TiedTo = adapter.Layers.Find(other => other.Target.Module == embedding.Module);
        }
    }

    /// <summary>Says which of the modules that an adapter changes share their weight with others, which it does not change.</summary>
    private void WarnOfTies(AttachedAdapter adapter)
    {
        var ties = Ties();
        var saved = TrainedBaseOf(adapter).ToArray();
        if (adapter.Config.TiesWeights)
        {
            if (!adapter.Layers.Exists(layer => layer.TiedTo is not null) && !saved.Any(parameter => parameter.UseOf(adapter.Name) is { IsTogether: true, Tensors.Count: > 1 }))
                FossilWarnings.Report($"'{adapter.Name}' asks for ensure_weight_tying, but none of its target_modules and modules_to_save shares its weight with an embedding.");
            return;
        }

        var apart = adapter.Layers.Select(layer => layer.Target.WeightPlace).Concat(saved.Where(parameter => !parameter.UseOf(adapter.Name).IsTogether).Select(parameter => parameter.Place));
        foreach (var place in apart)
        {
            if (ties.Sharing(place) is not [var other, ..]) continue;
            FossilWarnings.Report(
                $"'{place.FullName}' shares its memory with '{other.FullName}', and '{adapter.Name}' changes it alone: the two are the same only while the adapter is off. Merged or saved with the model, each has a weight of its own. (ensure_weight_tying in LoraConfig changes both together.)");
        }
    }

    /// <summary><c>.to</c> gives layers that share their parameters each their own: asking for them ties them again.</summary>
    private void RelinkTied()
    {
        foreach (var layer in adapters.SelectMany(adapter => adapter.Layers).Where(layer => layer.TiedTo is not null))
        {
            foreach (var name in layer.ParameterNames) layer.Parameter(name);
        }
    }
}
