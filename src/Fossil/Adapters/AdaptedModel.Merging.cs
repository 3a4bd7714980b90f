using static TorchSharp.torch;

namespace Fossil;

/// <content>Merging adapters into the base weights and taking them out again.</content>
public sealed partial class AdaptedModel
{
    /// <summary>The adapters that are merged into the base, in the order in which they were.</summary>
    public IReadOnlyList<string> MergedAdapters => [.. adapters.Merged];

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
    /// <param name="expandWeights">
    /// Whether a quantised weight becomes a floating-point one when its turn comes, so that it can take up the change, and stays one. Otherwise it is refused: what is quantised to four bits again loses
    /// most of what an adapter changes.
    /// </param>
    /// <returns>The adapters that were merged now.</returns>
    /// <remarks>Where it throws, no adapter is merged that was not before.</remarks>
    /// <exception cref="NonFiniteWeightException">A safe merge found NaN or infinity; nothing was changed.</exception>
    /// <exception cref="AdapterCombinationException">An adapter whose change depends on the weight (Bat, DoRA) would be merged onto another one's.</exception>
    /// <exception cref="AdapterStateException">Adapters are disabled, or each row uses its own.</exception>
    /// <exception cref="WeightNotChangeableException">A weight is quantised, and <paramref name="expandWeights"/> is false.</exception>
    public IReadOnlyList<string> Merge(IReadOnlyList<string>? adapterNames = null, bool safe = false, bool keepBase = true, bool expandWeights = false)
    {
        using var entry = Enter();
        CheckCanMerge();
        var names = mergedBase.Merge(adapterNames ?? adapters.Active, safe, keepBase, expandWeights);
        ApplyState();
        return names;
    }

    /// <summary>Takes all merged adapters out of the base weights, the last one first. Does nothing where none is merged.</summary>
    /// <returns>The adapters that were merged.</returns>
    public IReadOnlyList<string> Unmerge()
    {
        using var entry = Enter();
        parameters.Check();
        var names = mergedBase.Unmerge();
        ApplyState();
        return names;
    }

    /// <summary>Merges adapters and removes all of them: what is left is an ordinary model. This object is disposed.</summary>
    /// <inheritdoc cref="Merge"/>
    /// <returns>The model.</returns>
    public nn.Module MergeAndUnload(IReadOnlyList<string>? adapterNames = null, bool safe = false, bool expandWeights = false)
    {
        using var entry = Enter();
        Merge(adapterNames, safe, keepBase: false, expandWeights);
        Dispose();
        return Model;
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
        CheckCanMerge();
        return mergedBase.MergeActive();
    }

    /// <summary>Makes the weight of a module that holds it in another form as it is with the active adapters, while <see cref="MergeActive"/> is open; null where nothing changes it.</summary>
    internal static Func<Tensor>? MergedWeightOf(nn.Module model, nn.Module module) => Attached.TryGetValue(model, out var adapted) ? adapted.mergedBase.MergedWeightOf(module) : null;

    /// <summary>
    /// Puts the base's own values in place of those that an active adapter has of its own, until the result is disposed: for writing a model without its adapters. What is merged
    /// stays. Null where the model has no adapters, or is being written as it computes.
    /// </summary>
    internal static IDisposable? WithoutActive(nn.Module model) => Attached.TryGetValue(model, out var adapted) && !adapted.mergedBase.IsActiveMerged ? adapted.trainedBase.WithoutActive() : null;

    /// <summary>The base in place of the merged weights until the result is disposed. The forward pass must not run in between.</summary>
    internal IDisposable WithBase() => mergedBase.WithBase();

    private void CheckCanMerge()
    {
        if (!adapters.ActiveOnesAct) throw new AdapterStateException("Merge inside DisableAdapters() or UseAdapters() would be undone or ignored: end that scope first.");
        parameters.Check();
    }
}
