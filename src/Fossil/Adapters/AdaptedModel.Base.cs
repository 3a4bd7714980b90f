using Fossil.Adapters;
using Fossil.Serialization;
using Fossil.Targets;

namespace Fossil;

/// <content>Parameters of the base that are trained beside the adapters: <c>modules_to_save</c> and biases.</content>
public sealed partial class AdaptedModel
{
    private const string BiasName = "bias";

    private readonly List<TrainedBaseParameter> trainedBase = [];

    /// <summary>Finds what the configuration trains of the base itself.</summary>
    private void AddTrainedBase(AttachedAdapter adapter)
    {
        var config = adapter.Config;
        foreach (var path in TargetSelector.SelectModulesToSave(config, finder.Modules.Select(entry => entry.Path)))
        {
            var saved = finder.Modules.First(entry => entry.Path == path);
            foreach (var (name, _) in saved.Module.named_parameters()) AddTrainedBase(adapter, $"{saved.RegisteredPath}.{name}", AdapterTensorKind.Base);
        }

        if (config.Bias == AdapterBias.None) return;
        var adapted = adapter.Layers.Select(layer => $"{layer.Target.RegisteredPath}.{BiasName}").ToHashSet();
        foreach (var (name, _) in Model.named_parameters().ToArray())
        {
            if (name != BiasName && !name.EndsWith($".{BiasName}", StringComparison.Ordinal)) continue;
            if (adapted.Contains(name)) AddTrainedBase(adapter, name, AdapterTensorKind.AdaptedBias);
            else if (config.Bias == AdapterBias.All) AddTrainedBase(adapter, name, AdapterTensorKind.Base);
        }
    }

    private void AddTrainedBase(AttachedAdapter adapter, string name, AdapterTensorKind kind)
    {
        var parameter = trainedBase.Find(existing => existing.Name == name);
        if (parameter is null)
        {
            var (module, ownName) = NamedModule.Split(finder.Written(name));
            trainedBase.Add(parameter = new TrainedBaseParameter(Model, name, new AdapterTensorName(kind, module, ownName)));
        }
        parameter.Adapters.Add(adapter.Name);
    }

    private IEnumerable<TrainedBaseParameter> TrainedBaseOf(AttachedAdapter adapter) => trainedBase.Where(parameter => parameter.Adapters.Contains(adapter.Name));

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
        foreach (var parameter in trainedBase)
        {
            var owner = disabled > 0 || rowAdapters is not null ? null : active.Find(parameter.Adapters.Contains);
            parameter.Activate(owner);
            parameter.Parameter.requires_grad = owner is not null && !Find(owner).IsFrozen && !IsMerged(owner);
        }
    }

    /// <summary>A base parameter can have the values of one adapter at a time.</summary>
    private void CheckTrainedBase(IEnumerable<string> names)
    {
        foreach (var parameter in trainedBase)
        {
            if (names.Where(parameter.Adapters.Contains).Take(2).ToArray() is [var first, var second])
                throw new AdapterCombinationException($"The adapters '{first}' and '{second}' each have their own '{parameter.Name}' (modules_to_save or bias), so they cannot be active together. Activate one of them.");
        }
    }
}
