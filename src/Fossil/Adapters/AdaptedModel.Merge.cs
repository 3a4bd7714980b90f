using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil;

/// <content>Merging adapters into the base weights and taking them out again.</content>
public sealed partial class AdaptedModel
{
    private readonly List<string> mergedNames = [];
    private readonly Dictionary<AdaptedTarget, MergedTarget> mergedTargets = [];

    /// <summary>The adapters that are merged into the base, in the order in which they were.</summary>
    public IReadOnlyList<string> MergedAdapters => [.. mergedNames];

    /// <summary>
    /// Folds adapters into the base weights, in float32 whatever the weights' dtype, rounded once. From then on the base alone computes what both computed;
    /// merged adapters are frozen, and their values as of now are what <see cref="Unmerge"/> takes out again.
    /// </summary>
    /// <param name="adapterNames">Which, in order; the active ones where null. Those that are merged already are left out, so merging twice does nothing.</param>
    /// <param name="safe">Looks for NaN and infinity in every merged weight before the first weight is changed.</param>
    /// <param name="keepBase">Keeps a copy of each weight, so that <see cref="Unmerge"/> restores it bit for bit. Otherwise it computes the weight back, within rounding.</param>
    /// <returns>The adapters that were merged now.</returns>
    /// <exception cref="NonFiniteWeightException">A safe merge found NaN or infinity; nothing was changed.</exception>
    /// <exception cref="AdapterCombinationException">An adapter whose change depends on the weight (Bat, DoRA) would be merged onto another one's.</exception>
    /// <exception cref="AdapterStateException">Adapters are disabled, or each row uses its own.</exception>
    public IReadOnlyList<string> Merge(IReadOnlyList<string>? adapterNames = null, bool safe = false, bool keepBase = false)
    {
        using var entry = Enter();
        if (disabled > 0 || rowAdapters is not null) throw new AdapterStateException("Merge inside DisableAdapters() or UseAdapters() would be undone or ignored: end that scope first.");
        string[] names = [.. (adapterNames ?? active).Where(name => !IsMerged(Find(name).Name)).Distinct()];
        var plans = Targets.Select(target => (Target: target, Layers: LayersToMerge(target, names))).Where(plan => plan.Layers.Count > 0).ToArray();

        using var noGrad = no_grad();
        if (safe)
        {
            foreach (var (target, layers) in plans) CheckFinite(target, layers);
        }

        var ties = Ties();
        foreach (var (target, _) in plans) ties.CheckSeparable(target.WeightPlace);
        foreach (var (target, layers) in plans)
        {
            if (!mergedTargets.TryGetValue(target, out var merged)) mergedTargets.Add(target, merged = new MergedTarget(target, ties, keepBase));
            merged.Merge(layers);
        }

        mergedNames.AddRange(names);
        ApplyState();
        return names;
    }

    /// <summary>Takes all merged adapters out of the base weights, the last one first. Does nothing where none is merged.</summary>
    /// <returns>The adapters that were merged.</returns>
    public IReadOnlyList<string> Unmerge()
    {
        using var entry = Enter();
        using var noGrad = no_grad();
        foreach (var merged in mergedTargets.Values) merged.Unmerge();
        string[] names = [.. mergedNames];
        ForgetMerge();
        ApplyState();
        return names;
    }

    /// <summary>Merges adapters and removes all of them: what is left is an ordinary model. This object is disposed.</summary>
    /// <inheritdoc cref="Merge"/>
    /// <returns>The model.</returns>
    public nn.Module MergeAndUnload(IReadOnlyList<string>? adapterNames = null, bool safe = false)
    {
        using var entry = Enter();
        Merge(adapterNames, safe);
        Dispose();
        return Model;
    }

    private bool IsMerged(string adapterName) => mergedNames.Contains(adapterName);

    private void CheckNothingMerged(string operation)
    {
        if (mergedNames.Count > 0) throw new AdapterStateException($"Cannot {operation} while {string.Join(", ", mergedNames)} {(mergedNames.Count == 1 ? "is" : "are")} merged into the base. Call Unmerge() first.");
    }

    /// <summary>Unmerges; the result merges the same adapters in the same way again. Null where nothing is merged.</summary>
    private Action? SuspendMerge()
    {
        if (mergedNames.Count == 0) return null;
        var keepBase = mergedTargets.Values.Any(merged => merged.KeepsBase);
        var names = Unmerge();
        return () =>
        {
            if (!disposed) Merge(names, keepBase: keepBase);
        };
    }

    private void ForgetMerge()
    {
        foreach (var merged in mergedTargets.Values) merged.Dispose();
        mergedTargets.Clear();
        mergedNames.Clear();
    }

    /// <summary>The layers in the order in which they are merged: those that depend on the weight go first, as in the forward pass.</summary>
    private List<AdapterLayer> LayersToMerge(AdaptedTarget target, IReadOnlyList<string> names)
    {
        List<AdapterLayer> layers = [.. names.Select(target.FindLayer).OfType<AdapterLayer>().OrderBy(layer => layer.Chains ? 0 : layer.DependsOnWeight ? 1 : 2)];
        IEnumerable<AdapterLayer> below = mergedTargets.TryGetValue(target, out var merged) ? merged.Layers : [];
        foreach (var layer in layers)
        {
            if (layer.DependsOnWeight && below.FirstOrDefault(other => !(layer.Chains && other.Chains)) is { } obstacle)
            {
                throw new AdapterCombinationException(
                    $"The change that '{layer.AdapterName}' makes to '{target.Path}' depends on the weight, so it cannot be merged onto '{obstacle.AdapterName}', which is merged before it: the result would differ from the forward pass. Unmerge first, or merge it alone.");
            }

            below = [.. below, layer];
        }

        CheckWhatStaysActive(target, [.. below]);
        return layers;
    }

    /// <summary>An active adapter that depends on the weight and stays unmerged sees the merged weight: that is right only if those merged act before it anyway.</summary>
    private void CheckWhatStaysActive(AdaptedTarget target, IReadOnlyList<AdapterLayer> merged)
    {
        var staying = active.Select(target.FindLayer).OfType<AdapterLayer>().Where(layer => layer.DependsOnWeight && !merged.Contains(layer));
        foreach (var layer in staying)
        {
            if (merged.FirstOrDefault(other => !(layer.Chains && other.Chains) || active.IndexOf(other.AdapterName) > active.IndexOf(layer.AdapterName)) is not { } early) continue;
            throw new AdapterCombinationException(
                $"The change that '{layer.AdapterName}' makes to '{target.Path}' depends on the weight, and it is active: with '{early.AdapterName}' merged it would act on another weight than now. Merge '{layer.AdapterName}' too, or deactivate it first.");
        }
    }

    private static void CheckFinite(AdaptedTarget target, IReadOnlyList<AdapterLayer> layers)
    {
        using var scope = NewDisposeScope();
        var weight = target.Weight.to(ShardOperations.Accumulator(target.Weight.dtype), copy: true);
        foreach (var layer in layers)
        {
            using var values = layer.CopyValues(weight.dtype);
            layer.MergeInto(weight, values);
            if (!weight.to(target.Weight.dtype).isfinite().all().item<bool>())
                throw new NonFiniteWeightException($"Merging '{layer.AdapterName}' into '{target.Path}' would give NaN or infinity. No weight was changed. The adapter has such values, or they overflow {target.Weight.dtype}.");
        }
    }

    /// <summary>What is merged into one target's weight, and what is needed to take it out again.</summary>
    private sealed class MergedTarget : IDisposable
    {
        private readonly AdaptedTarget target;
        private readonly Tensor? original;
        private readonly List<(AdapterLayer Layer, AdapterValues Values)> merged = [];

        // That of the values that were merged, whatever the weight is cast to meanwhile.
        private readonly ScalarType accumulator;

        /// <summary>A weight that others share gets memory of its own, and is the others' again when it is unmerged.</summary>
        public MergedTarget(AdaptedTarget target, WeightTies ties, bool keepBase)
        {
            this.target = target;
            accumulator = ShardOperations.Accumulator(target.Weight.dtype);
            Separation = ties.Separate(target.WeightPlace);
            if (Separation?.Others is [var other, ..])
                FossilWarnings.Report($"'{target.WeightPlace.FullName}' shared its memory with '{other.FullName}', which the adapter does not change: merged, each has its own until Unmerge().");
            original = keepBase ? target.Weight.detach().clone().DetachFromDisposeScope() : null;
        }

        /// <summary>Its own memory, where others share it.</summary>
        public Separation? Separation { get; }

        public bool KeepsBase => original is not null;

        public IEnumerable<AdapterLayer> Layers => merged.Select(entry => entry.Layer);

        public void Merge(IEnumerable<AdapterLayer> layers)
        {
            Change(weight =>
            {
                foreach (var layer in layers)
                {
                    var values = layer.CopyValues(weight.dtype);
                    layer.MergeInto(weight, values);
                    merged.Add((layer, values));
                }
            });
        }

        public void Unmerge()
        {
            if (original is not null) target.Weight.copy_(original);
            else if (Separation?.SharedValues is null) Change(TakeOut);
            Separation?.End();
        }

        /// <summary>A copy of the weight as it would be unmerged.</summary>
        public Tensor Unmerged()
        {
            if ((original ?? Separation?.SharedValues) is { } kept) return kept.detach();
            using var scope = NewDisposeScope();
            var weight = target.Weight;
            var full = weight.to(accumulator, copy: true);
            TakeOut(full);
            return full.to(weight.dtype).MoveToOuterDisposeScope();
        }

        public void Dispose()
        {
            Separation?.Keep();
            original?.Dispose();
            foreach (var (_, values) in merged) values.Dispose();
            merged.Clear();
        }

        private void TakeOut(Tensor weight)
        {
            foreach (var (layer, values) in Enumerable.Reverse(merged)) layer.UnmergeFrom(weight, values);
        }

        private void Change(Action<Tensor> change)
        {
            using var scope = NewDisposeScope();
            var weight = target.Weight;
            var full = weight.to(accumulator, copy: true);
            change(full);
            weight.copy_(full);
        }
    }
}
