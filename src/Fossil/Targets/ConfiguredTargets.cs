using Fossil.Adapters;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>Applies a configuration's choice of modules to the targets that annotated classes declare.</summary>
internal static class ConfiguredTargets
{
    private const string OutputLayerName = "lm_head";

    /// <summary>The targets that <paramref name="config"/> chooses, in the order of the model's modules.</summary>
    /// <exception cref="NotAdaptableException">The model has no annotated class, or a chosen module cannot be adapted.</exception>
    /// <exception cref="ConfigurationException">Nothing is chosen, or an expression is malformed.</exception>
    public static IReadOnlyList<AdaptedTarget> Select(ModelTargets modelTargets, AdapterConfig config)
    {
        var refusal = new TargetRefusal(modelTargets, config);
        if (modelTargets.Targets.Count == 0) throw refusal.NoTargets();
        if (config.TargetModules is null)
        {
            // The attributes choose: all that can be adapted. What a class forgot to register, or the generator to complete, is a mistake all the same.
            if (modelTargets.NotGenerated.FirstOrDefault() is { } type) throw TargetRefusal.NotGenerated(type);
            if (modelTargets.Unusable.FirstOrDefault(entry => entry.Reason == UnusableReason.NotRegistered) is { } forgotten) throw TargetRefusal.Unusable(forgotten);
            foreach (var problem in modelTargets.Unusable.Where(entry => entry.Reason != UnusableReason.HoldsNothing).Select(entry => $"{entry.Problem}, so it gets no adapter.").Distinct()) FossilWarnings.Report(problem);
        }
        else if (modelTargets.Unusable.FirstOrDefault(entry => entry.Reason is UnusableReason.NotRegistered or UnusableReason.Tied && TargetSelector.IsChosen(config, entry.Path)) is { } chosen)
        {
            throw TargetRefusal.Unusable(chosen);
        }
        WarnOfUnregistered(modelTargets, config);

        var modules = modelTargets.Modules.ToDictionary(entry => entry.Path, entry => entry.Module);
        var paths = TargetSelector.Select(config, Describe(modelTargets));
        if (paths.Where(path => modelTargets.Find(modules[path]) is null).ToList() is { Count: > 0 } others) throw refusal.Chosen(others);
        return [.. paths.Select(path => modelTargets.Find(modules[path])!)];
    }

    /// <summary>The configuration with its targets as a list of names, which PEFT understands without attributes.</summary>
    public static AdapterConfig Resolve(ModelTargets modelTargets, AdapterConfig config) => TargetSelector.Resolve(config, Describe(modelTargets));

    /// <summary>What TorchSharp does not know of the model may be left out on purpose: it is an error only where nothing else is chosen.</summary>
    private static void WarnOfUnregistered(ModelTargets modelTargets, AdapterConfig config)
    {
        var isOpen = config.TargetModules is null or { IsAllLinear: true };
        var chosen = isOpen ? modelTargets.Unregistered : [.. modelTargets.Unregistered.Where(module => module.TargetPaths.Any(path => TargetSelector.IsChosen(config, path)))];
        if (chosen.Count == 0) return;
        if (!isOpen && !modelTargets.Modules.Any(entry => TargetSelector.IsChosen(config, entry.Path))) throw TargetRefusal.Unregistered($"target_modules {config.TargetModules} chooses only modules that are not registered", chosen);
        foreach (var problem in UnregisteredModule.Explain(chosen)) FossilWarnings.Report(problem);
    }

    /// <summary>What is annotated counts as linear, as the user's own layers with a 2-D weight do.</summary>
    private static SelectableModule[] Describe(ModelTargets modelTargets)
    {
        var embeddings = modelTargets.Modules.Where(entry => BaseWeight.IsEmbedding(entry.Module)).Select(entry => BaseWeight.Of(entry.Module)!.Shape).ToArray();
        return [.. modelTargets.Modules.Select(entry =>
        {
            var target = modelTargets.Find(entry.Module);
            return new SelectableModule(
                entry.Path, target is { IsEmbedding: false } || BaseWeight.IsPlain(entry.Module), IsOutputLayer(entry.Path, entry.Module, embeddings), target is { Defaults.OnRequest: false });
        })];
    }

    /// <summary>Whether a layer turns hidden states into scores for a vocabulary: by its name, or because one of the model's embeddings has the shape of its weight.</summary>
    private static bool IsOutputLayer(string path, nn.Module module, long[][] embeddings) =>
        NamedModule.Split(path).Name == OutputLayerName
        || (BaseWeight.IsLinear(module) && BaseWeight.Of(module) is { } weight && embeddings.Any(shape => shape.AsSpan().SequenceEqual(weight.Shape)));
}
