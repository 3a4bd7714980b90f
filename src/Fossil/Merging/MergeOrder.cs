using Fossil.Adapters;

namespace Fossil.Merging;

/// <summary>The order in which layers are merged into a weight, and which may be at all: what is merged must compute what the forward pass did.</summary>
internal static class MergeOrder
{
    /// <summary>The layers of these adapters on a target, in the order in which they are merged: those that depend on the weight go first, as in the forward pass.</summary>
    /// <param name="target">The target.</param>
    /// <param name="names">The adapters to merge.</param>
    /// <param name="merged">What is merged into it already; null for nothing.</param>
    /// <param name="active">The active adapters, in order.</param>
    /// <exception cref="AdapterCombinationException">The result would differ from the forward pass.</exception>
    public static List<AdapterLayer> Of(AdaptedTarget target, IReadOnlyList<string> names, MergedTarget? merged, IReadOnlyList<string> active)
    {
        List<AdapterLayer> layers = [.. names.Select(target.FindLayer).OfType<AdapterLayer>().OrderBy(layer => layer.Order)];
        IEnumerable<AdapterLayer> below = merged is null ? [] : merged.Layers;
        foreach (var layer in layers)
        {
            if (layer.DependsOnWeight && below.FirstOrDefault(other => !(layer.Chains && other.Chains && other.Order <= layer.Order)) is { } obstacle)
            {
                throw new AdapterCombinationException(
                    $"The change that '{layer.AdapterName}' makes to '{target.Path}' depends on the weight, so it cannot be merged onto '{obstacle.AdapterName}', which is merged before it: the result would differ from the forward pass. Unmerge first, or merge it alone.");
            }

            below = [.. below, layer];
        }

        CheckWhatStaysActive(target, [.. below], [.. active]);
        return layers;
    }

    /// <summary>An active adapter that depends on the weight and stays unmerged sees the merged weight: that is right only if those merged act before it anyway.</summary>
    private static void CheckWhatStaysActive(AdaptedTarget target, IReadOnlyList<AdapterLayer> merged, List<string> active)
    {
        var staying = active.Select(target.FindLayer).OfType<AdapterLayer>().Where(layer => layer.DependsOnWeight && !merged.Contains(layer));
        foreach (var layer in staying)
        {
            if (merged.FirstOrDefault(other => !(layer.Chains && other.Chains) || Place(other).CompareTo(Place(layer)) > 0) is not { } early) continue;
            throw new AdapterCombinationException(
                $"The change that '{layer.AdapterName}' makes to '{target.Path}' depends on the weight, and it is active: with '{early.AdapterName}' merged it would act on another weight than now. Merge '{layer.AdapterName}' too, or deactivate it first.");
        }

        (int Order, int Active) Place(AdapterLayer layer) => (layer.Order, active.IndexOf(layer.AdapterName));
    }
}
