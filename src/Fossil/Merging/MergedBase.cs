using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Targets;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Merging;

/// <summary>The base weights of a model with adapters merged into them. Each weight is changed and restored by its <see cref="MergedTarget"/>.</summary>
/// <param name="adapters">The adapters, of which it notes which are merged.</param>
/// <param name="modelTargets">The model's targets.</param>
/// <param name="trainedBase">The parameters of the base that adapters train.</param>
/// <param name="ties">What shares memory in the model now.</param>
internal sealed class MergedBase(AdapterSet adapters, ModelTargets modelTargets, TrainedBase trainedBase, Func<WeightTies> ties)
{
    private readonly Dictionary<AdaptedTarget, MergedTarget> targets = [];
    private readonly Dictionary<nn.Module, (AdaptedTarget Target, List<AdapterLayer> Layers)> encoded = new(ReferenceEqualityComparer.Instance);
    private bool isSuspended;

    /// <summary>Which weights have memory of their own, although others share it.</summary>
    public IEnumerable<Separation> Separations => targets.Values.SelectMany(merged => merged.Separations);

    /// <summary>Whether <see cref="MergeActive"/> is open.</summary>
    public bool IsActiveMerged { get; private set; }

    /// <summary>As <see cref="AdaptedModel.Merge"/>.</summary>
    public IReadOnlyList<string> Merge(IEnumerable<string> adapterNames, bool safe, bool keepBase, bool expand)
    {
        var (names, plans) = Plan(adapterNames);
        foreach (var (target, _) in plans) target.Base.CheckChangeable(expand);
        using var noGrad = no_grad();
        if (safe)
        {
            foreach (var (target, layers) in plans) MergedTarget.CheckFinite(target, layers);
        }

        MergeAll(plans, targets, keepBase);
        adapters.AddMerged(names);
        return names;
    }

    /// <summary>Takes all merged adapters out of the base weights, the last one first.</summary>
    /// <returns>The adapters that were merged.</returns>
    public IReadOnlyList<string> Unmerge()
    {
        using var noGrad = no_grad();
        foreach (var merged in targets.Values) merged.Unmerge();
        string[] names = [.. adapters.Merged];
        Forget();
        return names;
    }

    /// <summary>As <see cref="AdaptedModel.MergeActive"/>.</summary>
    public Restoration MergeActive()
    {
        var (_, plans) = Plan(adapters.Active);
        var active = new Dictionary<AdaptedTarget, MergedTarget>();
        foreach (var (target, layers) in plans.Where(plan => !plan.Target.Base.IsFloatingPoint))
        {
            target.Base.CheckChangeable(expand: true);
            CheckBias(target, layers);
        }

        using (var noGrad = no_grad()) MergeAll([.. plans.Where(plan => plan.Target.Base.IsFloatingPoint)], active, keepBase: true);

        // A weight in another form cannot take up the change: it is made with it when it is written.
        foreach (var plan in plans.Where(plan => !plan.Target.Base.IsFloatingPoint)) encoded.Add(plan.Target.Module, plan);
        IsActiveMerged = true;
        return new Restoration(() =>
        {
            IsActiveMerged = false;
            encoded.Clear();
            using var noGrad = no_grad();
            foreach (var merged in active.Values) merged.Unmerge();
        });
    }

    /// <summary>As <see cref="AdaptedModel.MergedWeightOf"/>.</summary>
    public Func<Tensor>? MergedWeightOf(nn.Module module) => !encoded.TryGetValue(module, out var plan) ? null : () =>
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var weight = plan.Target.Base.Weight;
        var full = weight.ToTensor(ShardOperations.Accumulator(weight.Dtype), copy: true);
        foreach (var layer in plan.Layers)
        {
            using var values = layer.CopyValues(full.dtype);
            layer.MergeInto(full, values);
        }

        return full.MoveToOuterDisposeScope();
    };

    /// <summary>Puts the base in place of the merged weights, until <see cref="Resume"/>; false where nothing is merged, or the base is in place already.</summary>
    public bool Suspend()
    {
        if (adapters.Merged.Count == 0 || isSuspended) return false;
        using var noGrad = no_grad();
        var suspended = new List<MergedTarget>();
        try
        {
            foreach (var merged in targets.Values)
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

        return isSuspended = true;
    }

    /// <summary>Puts the merged weights back, bit for bit. Where they were unmerged in between, the base stays.</summary>
    public void Resume()
    {
        if (!isSuspended) return;
        using var noGrad = no_grad();
        foreach (var merged in targets.Values) merged.Resume();
        isSuspended = false;
    }

    /// <summary>The base in place of the merged weights until the result is disposed.</summary>
    public Restoration WithBase() => Suspend() ? new(Resume) : new(() => { });

    /// <summary>A target's weight as it would be unmerged. The caller's dispose scope owns it.</summary>
    public Tensor Unmerged(AdaptedTarget target) => targets.TryGetValue(target, out var merged) ? merged.Unmerged() : target.Base.ToTensor();

    /// <summary>Whether layers are merged into the bias at this place.</summary>
    public bool ChangesBias(WeightPlace place) => targets.Any(entry => entry.Value.ChangesBias && entry.Key.BiasPlace == place);

    /// <summary>Forgets what is merged; the weights stay as they are.</summary>
    public void Forget()
    {
        foreach (var merged in targets.Values) merged.Dispose();
        targets.Clear();
        adapters.ClearMerged();
        isSuspended = false;
    }

    private (string[] Names, (AdaptedTarget Target, List<AdapterLayer> Layers)[] Plans) Plan(IEnumerable<string> adapterNames)
    {
        string[] names = [.. adapterNames.Where(name => !adapters.IsMerged(adapters.Find(name).Name)).Distinct()];
        foreach (var name in names) adapters.Find(name).Method.Require(AdapterAbilities.Merging, name, "be merged");
        (AdaptedTarget Target, List<AdapterLayer> Layers)[] plans = [.. modelTargets.Targets.Select(target => (target, MergeOrder.Of(target, names, targets.GetValueOrDefault(target), adapters.Active))).Where(plan => plan.Item2.Count > 0)];
        return (names, plans);
    }

    private static void CheckBias(AdaptedTarget target, IReadOnlyList<AdapterLayer> layers)
    {
        if (target.Bias is not null && layers.FirstOrDefault(layer => layer.ChangesBias) is { } layer)
            throw new WeightNotChangeableException($"'{layer.AdapterName}' changes the bias of '{target.Path}' too, whose weight is held as {target.Base.Weight.GetType().Name}: the two cannot be written merged. Merge with expandWeights: true, or save the adapter on its own.");
    }

    /// <summary>Merges into all targets, or where one throws into none.</summary>
    private void MergeAll(IReadOnlyList<(AdaptedTarget Target, List<AdapterLayer> Layers)> plans, Dictionary<AdaptedTarget, MergedTarget> into, bool keepBase)
    {
        foreach (var (target, _) in plans) target.Base.Expand();
        var now = ties();
        foreach (var (target, layers) in plans)
        {
            now.CheckSeparable(target.WeightPlace);
            if (target.Bias is null || !layers.Any(layer => layer.ChangesBias)) continue;
            now.CheckSeparable(target.BiasPlace);
            if (trainedBase.OwnerAt(target.BiasPlace) is { } owner)
                throw new AdapterCombinationException($"'{layers.First(layer => layer.ChangesBias).AdapterName}' changes the bias of '{target.Path}', which '{owner}' has values of its own for: merged, those could not be told from what is merged into them. Deactivate '{owner}', or merge without it.");
        }

        var done = new List<(AdaptedTarget Target, int Count)>();
        try
        {
            foreach (var (target, layers) in plans)
            {
                if (!into.TryGetValue(target, out var merged)) into.Add(target, merged = new MergedTarget(target, now, keepBase));
                done.Add((target, 0));
                merged.Merge(layers);
                done[^1] = (target, layers.Count);
            }
        }
        catch
        {
            foreach (var (target, count) in Enumerable.Reverse(done))
            {
                if (into[target].TakeOut(count)) into.Remove(target);
            }

            throw;
        }
    }
}
