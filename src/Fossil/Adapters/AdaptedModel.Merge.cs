using Fossil.Adapters;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil;

/// <content>Merging adapters into the base weights and taking them out again.</content>
public sealed partial class AdaptedModel
{
    private readonly List<string> mergedNames = [];
    private readonly Dictionary<AdaptedTarget, MergedTarget> mergedTargets = [];
    private bool isMergeSuspended;
    private bool isActiveMerged;

    /// <summary>The adapters that are merged into the base, in the order in which they were.</summary>
    public IReadOnlyList<string> MergedAdapters => [.. mergedNames];

    /// <summary>
    /// Folds adapters into the base weights, in float32 whatever the weights' dtype, rounded once. From then on the base alone computes what both computed;
    /// merged adapters are frozen, and their values as of now are what <see cref="Unmerge"/> takes out again.
    /// </summary>
    /// <param name="adapterNames">Which, in order; the active ones where null. Those that are merged already are left out, so merging twice does nothing.</param>
    /// <param name="safe">Looks for NaN and infinity in every merged weight before the first weight is changed.</param>
    /// <param name="keepBase">
    /// Keeps a copy of each weight, so that <see cref="Unmerge"/> and <see cref="DisableAdapters"/> restore it bit for bit. Otherwise they compute the weight back, within
    /// rounding, which adds up where a model is merged again and again. <see cref="MergeAndUnload"/> keeps none.
    /// </param>
    /// <returns>The adapters that were merged now.</returns>
    /// <remarks>Where it throws, no adapter is merged that was not before.</remarks>
    /// <exception cref="NonFiniteWeightException">A safe merge found NaN or infinity; nothing was changed.</exception>
    /// <exception cref="AdapterCombinationException">An adapter whose change depends on the weight (Bat, DoRA) would be merged onto another one's.</exception>
    /// <exception cref="AdapterStateException">Adapters are disabled, or each row uses its own.</exception>
    public IReadOnlyList<string> Merge(IReadOnlyList<string>? adapterNames = null, bool safe = false, bool keepBase = true)
    {
        using var entry = Enter();
        var (names, plans) = PlanMerge(adapterNames ?? active);
        using var noGrad = no_grad();
        if (safe)
        {
            foreach (var (target, layers) in plans) CheckFinite(target, layers);
        }

        MergeAll(plans, mergedTargets, keepBase);
        mergedNames.AddRange(names);
        ApplyState();
        return names;
    }

    /// <summary>Takes all merged adapters out of the base weights, the last one first. Does nothing where none is merged.</summary>
    /// <returns>The adapters that were merged.</returns>
    public IReadOnlyList<string> Unmerge()
    {
        using var entry = Enter();
        CheckParameters();
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
        Merge(adapterNames, safe, keepBase: false);
        Dispose();
        return Model;
    }

    private bool IsMerged(string adapterName) => mergedNames.Contains(adapterName);

    private void CheckNothingMerged(string operation)
    {
        if (mergedNames.Count > 0) throw new AdapterStateException($"Cannot {operation} while {string.Join(", ", mergedNames)} {(mergedNames.Count == 1 ? "is" : "are")} merged into the base. Call Unmerge() first.");
    }

    /// <summary>
    /// Merges those active adapters too that are not merged yet, until the result is disposed: for writing the model as it computes. Then the weights have the bits that they
    /// had, and what was merged before still is. The forward pass is not told: it must not run in between.
    /// </summary>
    /// <exception cref="AdapterCombinationException">As for <see cref="Merge"/>.</exception>
    /// <exception cref="AdapterStateException">As for <see cref="Merge"/>.</exception>
    internal IDisposable MergeActive()
    {
        using var entry = Enter();
        var (_, plans) = PlanMerge(active);
        var merged = new Dictionary<AdaptedTarget, MergedTarget>();
        using (var noGrad = no_grad()) MergeAll(plans, merged, keepBase: true);
        isActiveMerged = true;
        return new Restoration(() =>
        {
            isActiveMerged = false;
            using var noGrad = no_grad();
            foreach (var target in merged.Values) target.Unmerge();
        });
    }

    private (string[] Names, (AdaptedTarget Target, List<AdapterLayer> Layers)[] Plans) PlanMerge(IEnumerable<string> adapterNames)
    {
        if (disabled > 0 || rowAdapters is not null) throw new AdapterStateException("Merge inside DisableAdapters() or UseAdapters() would be undone or ignored: end that scope first.");
        CheckParameters();
        string[] names = [.. adapterNames.Where(name => !IsMerged(Find(name).Name)).Distinct()];
        return (names, [.. Targets.Select(target => (target, LayersToMerge(target, names))).Where(plan => plan.Item2.Count > 0)]);
    }

    /// <summary>Merges into all targets, or where one throws into none.</summary>
    private void MergeAll(IReadOnlyList<(AdaptedTarget Target, List<AdapterLayer> Layers)> plans, Dictionary<AdaptedTarget, MergedTarget> targets, bool keepBase)
    {
        var ties = Ties();
        foreach (var (target, _) in plans) ties.CheckSeparable(target.WeightPlace);
        var done = new List<(AdaptedTarget Target, int Count)>();
        try
        {
            foreach (var (target, layers) in plans)
            {
                if (!targets.TryGetValue(target, out var merged)) targets.Add(target, merged = new MergedTarget(target, ties, keepBase));
                done.Add((target, 0));
                merged.Merge(layers);
                done[^1] = (target, layers.Count);
            }
        }
        catch
        {
            foreach (var (target, count) in Enumerable.Reverse(done))
            {
                if (targets[target].TakeOut(count)) targets.Remove(target);
            }

            throw;
        }
    }

    /// <summary>Puts the base in place of the merged weights, until <see cref="ResumeMerge"/>; false where nothing is merged, or the base is in place already.</summary>
    private bool SuspendMerge()
    {
        if (mergedNames.Count == 0 || isMergeSuspended) return false;
        using var noGrad = no_grad();
        var suspended = new List<MergedTarget>();
        try
        {
            foreach (var merged in mergedTargets.Values)
            {
                merged.Suspend();
                suspended.Add(merged);
            }
        }
        catch
        {
            foreach (var merged in suspended) merged.Resume();
            throw;
        }

        return isMergeSuspended = true;
    }

    /// <summary>Puts the merged weights back, bit for bit. Where they were unmerged in between, the base stays.</summary>
    private void ResumeMerge()
    {
        if (!isMergeSuspended) return;
        using var noGrad = no_grad();
        foreach (var merged in mergedTargets.Values) merged.Resume();
        isMergeSuspended = false;
    }

    /// <summary>The base in place of the merged weights until the result is disposed.</summary>
    private Restoration WithBase() => SuspendMerge() ? new(ResumeMerge) : new(() => { });

    private void ForgetMerge()
    {
        foreach (var merged in mergedTargets.Values) merged.Dispose();
        mergedTargets.Clear();
        mergedNames.Clear();
        isMergeSuspended = false;
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

    private sealed class Restoration(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
