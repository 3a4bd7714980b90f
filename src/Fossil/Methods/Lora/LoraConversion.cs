using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>An adapter as LoRA with scale 1: B A is the change that it makes to each weight (PEFT: <c>tuners/lora/conversion.py</c>).</summary>
internal static class LoraConversion
{
    /// <summary>The configuration of the result; layers whose rank differs from the commonest one stand in its patterns.</summary>
    public static LoraConfig Config(AttachedAdapter adapter, LowRankChanges changes)
    {
        var source = adapter.Config;
        var ranks = changes.Changes.Select(change => KeyValuePair.Create(change.Target.Path, (int)change.A.size(0))).ToArray();
        var commonest = ranks.GroupBy(entry => entry.Value).MaxBy(group => group.Count())!.Key;
        var others = ranks.Where(entry => entry.Value != commonest).ToArray();
        return new LoraConfig
        {
            Rank = commonest,
            Alpha = commonest,
            RankPattern = new OrderedDictionary<string, int>(others),
            AlphaPattern = new OrderedDictionary<string, double>(others.Select(entry => KeyValuePair.Create(entry.Key, (double)entry.Value))),

            // What shares its parameters is scaled apart, so that it shares them no longer: each target is named.
            TargetModules = source.TiesWeights ? ModuleSelector.Create([.. adapter.Layers.Select(layer => layer.Target.Path)]) : source.TargetModules,
            ExcludeModules = source.ExcludeModules,
            LayersToTransform = source.LayersToTransform,
            LayersPattern = source.LayersPattern,
            ModulesToSave = source.ModulesToSave,
            TaskType = source.TaskType,
            BaseModelNameOrPath = source.BaseModelNameOrPath,
        };
    }

    /// <summary>The tensors of the result.</summary>
    public static IEnumerable<(AdapterTensorName Name, Tensor Tensor)> Tensors(LowRankChanges changes) =>
        from change in changes.Changes
        let names = change.Target.IsEmbedding ? (A: LoraEmbeddingLayer.EmbeddingA, B: LoraEmbeddingLayer.EmbeddingB) : (A: LoraLayer.FactorA, B: LoraLayer.FactorB)
        from entry in new[] { (names.A, change.A), (names.B, change.B) }
        select (new AdapterTensorName(AdapterTensorKind.Adapter, change.Target.Path, entry.Item1.FileSuffix), entry.Item2);

    /// <summary>Sets the parameters of the adapter that was made of <see cref="Config"/>.</summary>
    public static void Fill(AttachedAdapter converted, LowRankChanges changes)
    {
        foreach (var layer in converted.Layers.Cast<LoraLayer>())
        {
            var change = changes.Changes.Single(change => change.Target == layer.Target);
            layer.A.copy_(change.A);
            layer.B.copy_(change.B);
        }
    }
}
