using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// The base weights that stand in an adapter's file beside its own parameters: those of an adapted embedding or output layer, where the configuration names it so (PEFT: <c>get_peft_model_state_dict</c> with
/// <c>save_embedding_layers="auto"</c>).
/// </summary>
internal static class SavedEmbeddings
{
    // PEFT: EMBEDDING_LAYER_NAMES.
    private static readonly string[] LayerNames = ["embed_tokens", "lm_head"];

    /// <summary>The name in the file of each base weight that is saved with the adapter, and the layer on it.</summary>
    public static IEnumerable<(AdapterTensorName Name, AdapterLayer Layer)> Of(AttachedAdapter adapter)
    {
        if (!IsNamed(adapter)) return [];
        return from layer in adapter.Layers
               where IsEmbeddingLayer(layer)
               select (new AdapterTensorName(AdapterTensorKind.AdaptedWeight, layer.Target.Path, BaseWeight.Name), layer);
    }

    /// <summary>Whether the values of a file are the model's own.</summary>
    public static bool IsSameBase(AdapterLayer layer, Tensor values, Tensor weight)
    {
        // A model in another dtype than the file is the same one if it is so in the coarser of both.
        if (values.to(weight.dtype).equal(weight).all().item<bool>() || weight.to(values.dtype).equal(values).all().item<bool>()) return true;
        if (!layer.ChangesBase) return false;

        // What was taken out and put back was rounded twice.
        var (exact, largest) = (weight.to(ScalarType.Float64), weight.abs().max().to(ScalarType.Float64).item<double>());
        var step = Math.Max(finfo(values.dtype).eps, finfo(weight.dtype).eps);
        return (values.to(ScalarType.Float64) - exact).abs().max().item<double>() <= 4 * step * largest;
    }

    /// <summary>As PEFT decides it: the bare name stands in the list (once tied modules are replaced by the embedding's path), or the expression matches the path.</summary>
    private static bool IsNamed(AttachedAdapter adapter)
    {
        if (adapter.Config.TargetModules is not { } targets) return false;
        if (targets.Pattern is not null) return adapter.Layers.Exists(IsEmbeddingLayer);
        var tied = adapter.Layers.Where(layer => layer.TiedTo is not null).Select(layer => layer.Target.Path).ToArray();
        return targets.Names.Any(name => LayerNames.Contains(name) && !tied.Any(path => path == name || path.EndsWith("." + name, StringComparison.Ordinal)));
    }

    private static bool IsEmbeddingLayer(AdapterLayer layer) => LayerNames.Contains(NamedModule.Split(layer.Target.Path).Name);
}
