using Fossil.Adapters;
using Fossil.Serialization;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil;

/// <content>
/// The base weights that stand in an adapter's file beside its own parameters: those of an adapted embedding or output layer, where the configuration names it so (PEFT: <c>get_peft_model_state_dict</c> with
/// <c>save_embedding_layers="auto"</c>).
/// </content>
public sealed partial class AdaptedModel
{
    // PEFT: EMBEDDING_LAYER_NAMES.
    private static readonly string[] EmbeddingLayerNames = ["embed_tokens", "lm_head"];

    /// <summary>The name in the file of each base weight that is saved with the adapter, and the layer on it.</summary>
    private IEnumerable<(AdapterTensorName Name, AdapterLayer Layer)> BaseTensorsOf(AttachedAdapter adapter)
    {
        if (!NamesAnEmbeddingLayer(adapter)) return [];
        return from layer in adapter.Layers
               where EmbeddingLayerNames.Contains(NamedModule.Split(layer.Target.Path).Name)
               select (new AdapterTensorName(AdapterTensorKind.AdaptedWeight, layer.Target.Path, BaseWeight.Name), layer);
    }

    /// <summary>Everything that is written into an adapter's file. The caller's dispose scope owns what had to be computed.</summary>
    private IEnumerable<(AdapterTensorName Name, Tensor Tensor)> FileTensorsOf(AttachedAdapter adapter)
    {
        var own = TensorsOf(adapter).Select(entry => (entry.Name, entry.Tensor)).ToArray();
        var written = own.Select(entry => entry.Name).ToHashSet();
        return [.. own, .. BaseTensorsOf(adapter).Where(entry => !written.Contains(entry.Name)).Select(entry => (entry.Name, entry.Layer.ToFileWeight(UnmergedWeight(entry.Layer.Target))))];
    }

    /// <summary>
    /// Takes a base weight of the file over. Where it is not the model's, the adapter belongs to another base: as in PEFT it brings its own, which is in place while it is active.
    /// </summary>
    /// <returns>Whether it brings its own.</returns>
    private bool LoadBase(AttachedAdapter adapter, AdapterLayer layer, AdapterTensorName name, Tensor fileValues, AdapterFile file)
    {
        using var scope = NewDisposeScope();
        var target = layer.Target;
        var (values, weight) = (layer.FromFileWeight(fileValues), UnmergedWeight(target));
        if (IsSameBase(layer, values, weight)) return false;
        AddTrainedBase(adapter.Name, target.WeightPlace, new TrainedBaseUse([new BaseTensor(name.Kind, target.WeightPlace)], IsFrozen: true), Ties()).SetValues(adapter.Name, values);
        FossilWarnings.Report($"{file.Path} brings another '{target.Path}.{BaseWeight.Name}' than the model has: the adapter was trained on another base, or on a resized one. It is used while '{adapter.Name}' is active.");
        return true;
    }

    private static bool IsSameBase(AdapterLayer layer, Tensor values, Tensor weight)
    {
        // A model in another dtype than the file is the same one if it is so in the coarser of both.
        if (values.to(weight.dtype).equal(weight).all().item<bool>() || weight.to(values.dtype).equal(values).all().item<bool>()) return true;
        if (!layer.ChangesBase) return false;

        // What was taken out and put back was rounded twice.
        var (exact, largest) = (weight.to(ScalarType.Float64), weight.abs().max().to(ScalarType.Float64).item<double>());
        var step = Math.Max(finfo(values.dtype).eps, finfo(weight.dtype).eps);
        return (values.to(ScalarType.Float64) - exact).abs().max().item<double>() <= 4 * step * largest;
    }

    private Tensor UnmergedWeight(AdaptedTarget target) => mergedTargets.TryGetValue(target, out var merged) ? merged.Unmerged() : target.Weight.detach();

    /// <summary>As PEFT decides it: the bare name stands in the list (once tied modules are replaced by the embedding's path), or the expression matches the path.</summary>
    private bool NamesAnEmbeddingLayer(AttachedAdapter adapter)
    {
        if (adapter.Config.TargetModules is not { } targets) return false;
        if (targets.Pattern is not null) return adapter.Layers.Exists(layer => EmbeddingLayerNames.Contains(NamedModule.Split(layer.Target.Path).Name));
        var tied = adapter.Layers.Where(layer => layer.TiedTo is not null).Select(layer => layer.Target.Path).ToArray();
        return targets.Names.Any(name => EmbeddingLayerNames.Contains(name) && !tied.Any(path => path == name || path.EndsWith("." + name, StringComparison.Ordinal)));
    }
}
