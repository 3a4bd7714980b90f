using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;

namespace Fossil.Adapters;

/// <summary>
/// The embedding and the output layer that stand in an adapter's file beside its own parameters (PEFT: <c>get_peft_model_state_dict</c> with <c>save_embedding_layers</c>): where the configuration names one of
/// them as a target, where the model's vocabulary was resized, and where somebody asks for them.
/// </summary>
internal static class SavedEmbeddings
{
    // PEFT: EMBEDDING_LAYER_NAMES.
    private static readonly string[] LayerNames = ["embed_tokens", "lm_head"];

    /// <summary>Their names in the file, and where the weights are.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="modules">The model's modules.</param>
    /// <param name="isAsked">Whether they are saved; null to decide as PEFT does.</param>
    public static IEnumerable<(AdapterTensorName Name, WeightPlace Place, AdapterLayer? Layer)> Of(AttachedAdapter adapter, IReadOnlyList<NamedModule> modules, bool? isAsked)
    {
        var isNamed = IsNamed(adapter);
        if (!(isAsked ?? (isNamed || modules.Any(entry => entry.Module is IPretrainedModel { IsVocabularyResized: true })))) return [];
        return from entry in modules
               where IsEmbeddingLayer(entry.Path) && BaseWeight.Find(entry.Module) is not null
               let layer = adapter.Layers.Find(layer => layer.Target.Module == entry.Module)
               where layer is not null || !isNamed
               select (new AdapterTensorName(layer is null ? AdapterTensorKind.Base : AdapterTensorKind.AdaptedWeight, entry.Path, BaseWeight.Name), new WeightPlace(entry, BaseWeight.Name), layer);
    }

    /// <summary>As PEFT decides it: the bare name stands in the list (once tied modules are replaced by the embedding's path), or the expression matches the path.</summary>
    private static bool IsNamed(AttachedAdapter adapter)
    {
        if (adapter.Config.TargetModules is not { } targets) return false;
        if (targets.Pattern is not null) return adapter.Layers.Exists(layer => IsEmbeddingLayer(layer.Target.Path));
        var tied = adapter.Layers.Where(layer => layer.TiedTo is not null).Select(layer => layer.Target.Path).ToArray();
        return targets.Names.Any(name => LayerNames.Contains(name) && !tied.Any(path => path == name || path.EndsWith("." + name, StringComparison.Ordinal)));
    }

    private static bool IsEmbeddingLayer(string path) => LayerNames.Contains(NamedModule.Split(path).Name);
}
