using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.Merging;

/// <summary>What is merged into one target's weight, and what is needed to take it out again: the only place where merging touches a weight. The caller records no gradients.</summary>
internal sealed class MergedTarget : IDisposable
{
    private readonly AdaptedTarget target;
    private readonly bool keepBase;
    private readonly List<(AdapterLayer Layer, AdapterValues Values)> merged = [];

    // That of the values that were merged, whatever the weight is cast to meanwhile.
    private readonly ScalarType accumulator;

    // The base's bits, where they are kept and not in place.
    private Tensor? original;

    // The merged weight's bits while the base is in place.
    private Tensor? suspended;

    /// <summary>A weight that others share gets memory of its own, and is the others' again when it is unmerged.</summary>
    /// <param name="target">The target.</param>
    /// <param name="ties">What shares memory with its weight.</param>
    /// <param name="keepBase">Whether the weight's own bits are kept; otherwise it is computed back, within rounding.</param>
    public MergedTarget(AdaptedTarget target, WeightTies ties, bool keepBase)
    {
        (this.target, this.keepBase) = (target, keepBase);
        accumulator = ShardOperations.Accumulator(target.Weight.dtype);
        Separation = ties.Separate(target.WeightPlace);
        if (Separation?.Others is [var other, ..])
            FossilWarnings.Report($"'{target.WeightPlace.FullName}' shared its memory with '{other.FullName}', which the adapter does not change: merged, each has its own until Unmerge().");
        original = keepBase ? Copy(target.Weight) : null;
    }

    /// <summary>Its own memory, where others share it.</summary>
    public Separation? Separation { get; }

    /// <summary>The layers that are merged, in order.</summary>
    public IEnumerable<AdapterLayer> Layers => merged.Select(entry => entry.Layer);

    private Tensor? Kept => original ?? Separation?.SharedValues;

    /// <summary>Looks for NaN and infinity in what merging would give.</summary>
    /// <exception cref="NonFiniteWeightException">There is some.</exception>
    public static void CheckFinite(AdaptedTarget target, IReadOnlyList<AdapterLayer> layers)
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

    /// <summary>Merges layers onto what is merged, all of them or none.</summary>
    public void Merge(IReadOnlyList<AdapterLayer> layers)
    {
        var added = new List<(AdapterLayer Layer, AdapterValues Values)>();
        try
        {
            Change(weight =>
            {
                foreach (var layer in layers)
                {
                    var values = layer.CopyValues(weight.dtype);
                    added.Add((layer, values));
                    layer.MergeInto(weight, values);
                }
            });
        }
        catch
        {
            foreach (var (_, values) in added) values.Dispose();
            throw;
        }

        merged.AddRange(added);
    }

    /// <summary>Takes everything out, for good: nothing is left to merge into.</summary>
    public void Unmerge() => TakeOut(merged.Count);

    /// <summary>Takes the last <paramref name="count"/> layers out.</summary>
    /// <returns>Whether none is left: then this object is disposed.</returns>
    public bool TakeOut(int count)
    {
        var isLast = count == merged.Count;
        if (isLast && suspended is null && original is not null) target.Weight.copy_(original);
        else if (count > 0 && suspended is null && !(isLast && Separation?.SharedValues is not null)) Change(weight => TakeOut(weight, count));

        foreach (var (_, values) in merged.TakeLast(count)) values.Dispose();
        merged.RemoveRange(merged.Count - count, count);
        if (!isLast) return false;
        Separation?.End();
        Dispose();
        return true;
    }

    /// <summary>Puts the base in place, and keeps the merged weight's bits.</summary>
    public void Suspend()
    {
        var bits = Copy(target.Weight);
        try
        {
            if (Kept is { } kept) target.Weight.copy_(kept);
            else Change(weight => TakeOut(weight, merged.Count));
        }
        catch
        {
            bits.Dispose();
            throw;
        }

        suspended = bits;
        original?.Dispose();
        original = null;
    }

    /// <summary>Puts the merged weight back.</summary>
    public void Resume()
    {
        if (suspended is null) return;
        if (keepBase) original = Copy(target.Weight);
        target.Weight.copy_(suspended);
        suspended.Dispose();
        suspended = null;
    }

    /// <summary>A copy of the weight as it would be unmerged, or that weight.</summary>
    public Tensor Unmerged()
    {
        if (suspended is not null) return target.Weight.detach();
        if (Kept is { } kept) return kept.detach();
        using var scope = NewDisposeScope();
        var weight = target.Weight;
        var full = weight.to(accumulator, copy: true);
        TakeOut(full, merged.Count);
        return full.to(weight.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Forgets what is merged; the weight stays as it is.</summary>
    public void Dispose()
    {
        if (suspended is null) Separation?.Keep();
        else Separation?.End();
        original?.Dispose();
        suspended?.Dispose();
        (original, suspended) = (null, null);
        foreach (var (_, values) in merged) values.Dispose();
        merged.Clear();
    }

    private void TakeOut(Tensor weight, int count)
    {
        foreach (var (layer, values) in merged.TakeLast(count).Reverse()) layer.UnmergeFrom(weight, values);
    }

    /// <summary>Changes the weight in float32 or float64, and rounds it once.</summary>
    private void Change(Action<Tensor> change)
    {
        using var scope = NewDisposeScope();
        var weight = target.Weight;
        var full = weight.to(accumulator, copy: true);
        change(full);
        weight.copy_(full);
    }

    private static Tensor Copy(Tensor weight) => weight.detach().clone().DetachFromDisposeScope();
}
