using Fossil.Adapters;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>Applies a configuration's choice of modules to the targets that annotated classes declare.</summary>
internal static class TargetChoice
{
    private const string OutputLayerName = "lm_head";

    /// <summary>The targets that <paramref name="config"/> chooses, in the order of the model's modules.</summary>
    /// <exception cref="NotAdaptableException">The model has no annotated class, or a chosen module is not annotated.</exception>
    /// <exception cref="ConfigurationException">Nothing is chosen, or an expression is malformed.</exception>
    public static IReadOnlyList<AdaptedTarget> Select(TargetFinder finder, AdapterConfig config)
    {
        CheckAnnotated(finder);
        var modules = finder.Modules.ToDictionary(entry => entry.Path, entry => entry.Module);
        return [.. TargetSelector.Select(config, Describe(finder)).Select(path => finder.Find(modules[path]) ?? throw NotAnnotated(finder, config, path, modules[path]))];
    }

    /// <summary>The configuration with its targets as a list of names, which PEFT understands without attributes.</summary>
    public static AdapterConfig Resolve(TargetFinder finder, AdapterConfig config) => TargetSelector.Resolve(config, Describe(finder));

    private static SelectableModule[] Describe(TargetFinder finder)
    {
        var embeddings = finder.Modules.Select(entry => entry.Module).OfType<Embedding>().Select(embedding => embedding.weight!.shape).ToArray();
        return [.. finder.Modules.Select(entry => new SelectableModule(
            entry.Path, entry.Module is Linear, IsOutputLayer(entry.Path, entry.Module, embeddings), finder.Find(entry.Module) is not null))];
    }

    /// <summary>Whether a layer turns hidden states into scores for a vocabulary: by its name, or because one of the model's embeddings has the shape of its weight.</summary>
    private static bool IsOutputLayer(string path, nn.Module module, long[][] embeddings) =>
        path == OutputLayerName
        || path.EndsWith($".{OutputLayerName}", StringComparison.Ordinal)
        || (module is Linear linear && embeddings.Any(shape => shape.AsSpan().SequenceEqual(linear.weight.shape)));

    private static void CheckAnnotated(TargetFinder finder)
    {
        if (finder.Targets.Count > 0) return;
        throw new NotAdaptableException(
            $"No module of {finder.Model.GetType().Name} is annotated. Put [FossilAdapt(\"name of a projection\", …)] on the classes that hold the projections to adapt, and make them partial.");
    }

    private static NotAdaptableException NotAnnotated(TargetFinder finder, AdapterConfig config, string path, nn.Module module)
    {
        var (className, member) = finder.DeclaringClass(path);
        return new NotAdaptableException(
            $"target_modules {config.TargetModules} chooses '{path}' ({module.GetType().Name}), which is not annotated, so its calls are not rewired. Annotate the class that declares it: [FossilAdapt(\"{member}\", …)] on {className}; or leave it out (exclude_modules).");
    }
}
