using Fossil.Adapters;
using Fossil.Serialization;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil;

/// <content>Parameters of the base that are trained beside the adapters: <c>modules_to_save</c> and biases.</content>
public sealed partial class AdaptedModel
{
    private readonly List<TrainedBaseParameter> trainedBase = [];

    /// <summary>Finds what the configuration trains of the base itself.</summary>
    private void AddTrainedBase(AttachedAdapter adapter)
    {
        AddModulesToSave(adapter);
        if (adapter.Config.Bias != AdapterBias.None) AddBiases(adapter);
    }

    private void AddModulesToSave(AttachedAdapter adapter)
    {
        var config = adapter.Config;
        var chosen = TargetSelector.SelectModulesToSave(config, finder.Modules.Select(entry => entry.Path));
        if (chosen.Count == 0) return;
        var ties = Ties();
        foreach (var place in chosen.SelectMany(PlacesIn))
        {
            // One copy for all that share it: the embedding's.
            var tied = config.TiesWeights ? ties.WithEmbedding(place) : null;
            var use = tied is null ? OwnUse(place, ties, chosen) : new TrainedBaseUse([.. tied.Select(BaseTensor)], IsTogether: true);
            if (use is not null) AddTrainedBase(adapter.Name, tied?[0] ?? place, use, ties);
        }
    }

    /// <summary>A copy for this place: together with those of the same saved module that share it, of which the first counts. Null for the others of these.</summary>
    private static TrainedBaseUse? OwnUse(WeightPlace place, WeightTies ties, IReadOnlyList<string> chosen)
    {
        var sharing = ties.Sharing(place);
        var whole = chosen.FirstOrDefault(path => IsWithin(place.Path, path) && sharing.Count > 0 && sharing.All(other => IsWithin(other.Path, path)));
        if (whole is null) return new TrainedBaseUse([BaseTensor(place)]);
        return string.CompareOrdinal(place.FullName, sharing.Min(other => other.FullName)) < 0 ? new TrainedBaseUse([BaseTensor(place), .. sharing.Select(BaseTensor)], IsTogether: true) : null;
    }

    /// <summary>Modules that share a bias go on sharing it, as in PEFT, which trains biases in place.</summary>
    private void AddBiases(AttachedAdapter adapter)
    {
        var ties = Ties();
        var adapted = adapter.Layers.Select(layer => layer.Target.Path).ToHashSet(StringComparer.Ordinal);
        var done = new HashSet<WeightPlace>();
        foreach (var place in PlacesIn(string.Empty).Where(place => place.Name == BaseWeight.BiasName))
        {
            WeightPlace[] sharing = [place, .. ties.Sharing(place)];
            BaseTensor[] tensors =
            [
                .. from other in sharing
                   where adapted.Contains(other.Path) || adapter.Config.Bias == AdapterBias.All
                   select new BaseTensor(adapted.Contains(other.Path) ? AdapterTensorKind.AdaptedBias : AdapterTensorKind.Base, other),
            ];
            if (!sharing.Any(done.Contains) && tensors.Length > 0) AddTrainedBase(adapter.Name, place, new TrainedBaseUse(tensors, IsTogether: true), ties);
            done.Add(place);
        }
    }

    private TrainedBaseParameter AddTrainedBase(string adapterName, WeightPlace place, TrainedBaseUse use, WeightTies ties)
    {
        if (!use.IsTogether) ties.CheckSeparable(place);
        var parameter = trainedBase.Find(existing => existing.Place == place);
        if (parameter is null) trainedBase.Add(parameter = new TrainedBaseParameter(place));
        parameter.Add(adapterName, use);
        return parameter;
    }

    /// <summary>The base's own parameters in the module at <paramref name="path"/> and the modules in it.</summary>
    private IEnumerable<WeightPlace> PlacesIn(string path)
    {
        var ofAdapters = adapters.SelectMany(adapter => adapter.Layers).SelectMany(layer => layer.ParameterNames.Select(name => (layer.Target.Owner, layer.RegisteredName(name)))).ToHashSet();
        return from entry in finder.Modules
               where IsWithin(entry.Path, path)
               from name in WeightTies.ParameterNames(entry.Module)
               where !ofAdapters.Contains((entry.Module, name))
               select new WeightPlace(entry, name);
    }

    private static bool IsWithin(string path, string parent) => parent.Length == 0 || path == parent || path.StartsWith(parent + ".", StringComparison.Ordinal);

    private static BaseTensor BaseTensor(WeightPlace place) => new(AdapterTensorKind.Base, place);

    private IEnumerable<TrainedBaseParameter> TrainedBaseOf(AttachedAdapter adapter) => trainedBase.Where(parameter => parameter.Adapters.Contains(adapter.Name));

    /// <summary>The base's tensors in an adapter's file.</summary>
    private IEnumerable<(AdapterTensorName Name, TrainedBaseParameter Parameter)> TrainedBaseTensors(AttachedAdapter adapter) =>
        TrainedBaseOf(adapter).SelectMany(parameter => parameter.UseOf(adapter.Name).Tensors.Select(tensor => (tensor.FileName, parameter)));

    private void ForgetTrainedBase(AttachedAdapter adapter)
    {
        foreach (var parameter in TrainedBaseOf(adapter).ToArray())
        {
            parameter.Forget(adapter.Name, keepInPlace: IsMerged(adapter.Name));
            if (parameter.Adapters.Count > 0) continue;
            if (parameter.Find() is { } found) found.requires_grad = false;
            parameter.Dispose();
            trainedBase.Remove(parameter);
        }
    }

    /// <summary>Puts the active adapter's values in place, or the base's own where no active adapter has any.</summary>
    private void ApplyTrainedBase()
    {
        var owners = trainedBase.ToDictionary(parameter => parameter, parameter => disabled > 0 || rowAdapters is not null ? null : active.Find(parameter.Adapters.Contains));

        // All go back to the base before any leaves it: those that share memory find each other there.
        if (owners.Any(entry => entry.Value != entry.Key.Current))
        {
            foreach (var parameter in trainedBase) parameter.Deactivate();
            var ties = Ties();
            foreach (var (parameter, owner) in owners)
            {
                if (owner is not null) parameter.Activate(owner, ties);
            }
        }

        foreach (var parameter in trainedBase) parameter.Parameter.requires_grad = false;
        foreach (var (parameter, owner) in owners)
        {
            if (owner is not null && !parameter.UseOf(owner).IsFrozen && !Find(owner).IsFrozen && !IsMerged(owner)) parameter.Parameter.requires_grad = true;
        }
    }

    /// <summary>
    /// Puts the base's own values in place of those that an active adapter has of its own, until the result is disposed: for writing a model without its adapters. What is merged
    /// stays. Null where the model has no adapters, or is being written as it computes.
    /// </summary>
    internal static IDisposable? WithoutActive(nn.Module model)
    {
        if (!Attached.TryGetValue(model, out var adapted) || adapted.isActiveMerged) return null;
        foreach (var parameter in adapted.trainedBase)
        {
            if (parameter.Current is { } owner && !adapted.IsMerged(owner)) parameter.Deactivate();
        }

        return new Restoration(adapted.ApplyTrainedBase);
    }

    /// <summary>A base parameter can have the values of one adapter at a time, and so can those that share it while they are trained together.</summary>
    private void CheckTrainedBase(IEnumerable<string> names)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            foreach (var path in TrainedBaseTensors(Find(name)).Select(entry => entry.Name.ParameterPath).Distinct())
            {
                if (taken.TryGetValue(path, out var first) && first != name)
                    throw new AdapterCombinationException($"The adapters '{first}' and '{name}' each have their own '{path}' (modules_to_save or bias), so they cannot be active together. Activate one of them.");
                taken[path] = name;
            }
        }
    }
}
