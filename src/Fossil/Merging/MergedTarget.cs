using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Merging;

/// <summary>The layers that are merged into one target: into its weight, and into its bias where a layer changes that too. The caller records no gradients.</summary>
/// <param name="target">The target.</param>
/// <param name="ties">What shares memory with its weight and bias.</param>
/// <param name="keepBase">Whether the base's own bits are kept; otherwise they are computed back, within rounding.</param>
internal sealed class MergedTarget(AdaptedTarget target, WeightTies ties, bool keepBase) : IDisposable
{
    private readonly List<(AdapterLayer Layer, AdapterValues Values)> merged = [];
    private readonly MergedTensor weight = new(target.WeightPlace, ties, keepBase);
    private MergedTensor? bias;

    /// <summary>The memory of their own, where others share it.</summary>
    public IEnumerable<Separation> Separations => new[] { weight.Separation, bias?.Separation }.OfType<Separation>();

    /// <summary>The layers that are merged, in order.</summary>
    public IEnumerable<AdapterLayer> Layers => merged.Select(entry => entry.Layer);

    /// <summary>Whether a layer is merged into the bias too.</summary>
    public bool ChangesBias => bias is not null;

    /// <summary>Looks for NaN and infinity in what merging would give.</summary>
    /// <exception cref="NonFiniteWeightException">There is some.</exception>
    public static void CheckFinite(AdaptedTarget target, IReadOnlyList<AdapterLayer> layers)
    {
        using var scope = NewDisposeScope();
        var dtype = target.Base.Weight.Dtype;
        var accumulator = ShardOperations.Accumulator(dtype);
        var (weight, bias) = (target.Base.Weight.ToTensor(accumulator, copy: true), target.Bias?.to(accumulator, copy: true));
        foreach (var layer in layers)
        {
            using var values = layer.CopyValues(accumulator);
            layer.MergeInto(weight, values);
            if (bias is not null) layer.MergeIntoBias(bias, values);
            if (!IsFinite(weight, dtype) || (layer.ChangesBias && bias is not null && !IsFinite(bias, target.Bias!.dtype)))
                throw new NonFiniteWeightException($"Merging '{layer.AdapterName}' into '{target.Path}' would give NaN or infinity. No weight was changed. The adapter has such values, or they overflow {dtype}.");
        }
    }

    /// <summary>Merges layers onto what is merged, all of them or none.</summary>
    public void Merge(IReadOnlyList<AdapterLayer> layers)
    {
        var added = new List<(AdapterLayer Layer, AdapterValues Values)>();
        try
        {
            weight.Change(full =>
            {
                foreach (var layer in layers)
                {
                    var values = layer.CopyValues(full.dtype);
                    added.Add((layer, values));
                    layer.MergeInto(full, values);
                }

                // Before the weight itself is changed: both change, or neither.
                MergeIntoBias(added);
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
        if (isLast)
        {
            weight.End(TakeAllOut);
            bias?.End(TakeAllOutOfBias);
        }
        else if (count > 0)
        {
            weight.TakeOut(full => TakeOut(full, count));
            bias?.TakeOut(full => TakeOutOfBias(full, count));
        }

        foreach (var (_, values) in merged.TakeLast(count)) values.Dispose();
        merged.RemoveRange(merged.Count - count, count);
        return isLast;
    }

    /// <summary>Puts the base in place, and keeps the merged bits.</summary>
    public void Suspend()
    {
        weight.Suspend(TakeAllOut);
        try
        {
            bias?.Suspend(TakeAllOutOfBias);
        }
        catch
        {
            weight.Resume();
            throw;
        }
    }

    /// <summary>Puts the merged weight and bias back.</summary>
    public void Resume()
    {
        weight.Resume();
        bias?.Resume();
    }

    /// <summary>A copy of the weight as it would be unmerged, or that weight.</summary>
    public Tensor Unmerged() => weight.Unmerged(TakeAllOut);

    /// <summary>Forgets what is merged; weight and bias stay as they are.</summary>
    public void Dispose()
    {
        weight.Dispose();
        bias?.Dispose();
        foreach (var (_, values) in merged) values.Dispose();
        merged.Clear();
    }

    private void MergeIntoBias(List<(AdapterLayer Layer, AdapterValues Values)> added)
    {
        if (target.Bias is null || !added.Exists(entry => entry.Layer.ChangesBias)) return;
        bias ??= new MergedTensor(target.BiasPlace, ties, keepBase);
        bias.Change(full =>
        {
            foreach (var (layer, values) in added) layer.MergeIntoBias(full, values);
        });
    }

    private void TakeAllOut(Tensor full) => TakeOut(full, merged.Count);

    private void TakeAllOutOfBias(Tensor full) => TakeOutOfBias(full, merged.Count);

    private void TakeOut(Tensor full, int count)
    {
        foreach (var (layer, values) in merged.TakeLast(count).Reverse()) layer.UnmergeFrom(full, values);
    }

    private void TakeOutOfBias(Tensor full, int count)
    {
        foreach (var (layer, values) in merged.TakeLast(count).Reverse()) layer.UnmergeFromBias(full, values);
    }

    private static bool IsFinite(Tensor full, ScalarType dtype) => full.to(dtype).isfinite().all().item<bool>();
}
