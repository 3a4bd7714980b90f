using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Merging;

/// <summary>A weight or bias that adapters are merged into, and what is needed to put the base's values back: the only place where merging touches one. The caller records no gradients.</summary>
internal sealed class MergedTensor : IDisposable
{
    private readonly WeightPlace place;
    private readonly bool keepBase;

    // That of the values that were merged, whatever the tensor is cast to meanwhile.
    private readonly ScalarType accumulator;

    // The base's bits, where they are kept and not in place.
    private Tensor? original;

    // The merged bits while the base is in place.
    private Tensor? suspended;

    /// <summary>What others share gets memory of its own, and is the others' again when it is unmerged.</summary>
    /// <param name="place">Where it is.</param>
    /// <param name="ties">What shares memory with it.</param>
    /// <param name="keepBase">Whether its own bits are kept; otherwise they are computed back, within rounding.</param>
    public MergedTensor(WeightPlace place, WeightTies ties, bool keepBase)
    {
        (this.place, this.keepBase) = (place, keepBase);
        accumulator = ShardOperations.Accumulator(Current.dtype);
        Separation = ties.Separate(place);
        if (Separation?.Others is [var other, ..])
            FossilWarnings.Report($"'{place.FullName}' shared its memory with '{other.FullName}', which the adapter does not change: merged, each has its own until Unmerge().");
        original = keepBase ? Copy(Current) : null;
    }

    /// <summary>Its own memory, where others share it.</summary>
    public Separation? Separation { get; }

    private Tensor Current => place.Find() ?? throw new AdapterStateException($"'{place.FullName}', which adapters are merged into, is no longer in the model.");

    private Tensor? Kept => original ?? Separation?.SharedValues;

    /// <summary>Changes it in float32 or float64, and rounds it once.</summary>
    public void Change(Action<Tensor> change)
    {
        using var scope = NewDisposeScope();
        var current = Current;
        var full = current.to(accumulator, copy: true);
        change(full);
        current.copy_(full);
    }

    /// <summary>Takes out a part of what is merged, and leaves the rest.</summary>
    /// <param name="takeOut">Takes it out of a copy.</param>
    public void TakeOut(Action<Tensor> takeOut)
    {
        if (suspended is null) Change(takeOut);
    }

    /// <summary>Takes out all that is merged, for good: this object is disposed.</summary>
    /// <param name="takeOut">Takes it out of a copy.</param>
    public void End(Action<Tensor> takeOut)
    {
        if (suspended is null && original is not null) Current.copy_(original);
        else if (suspended is null && Separation?.SharedValues is null) Change(takeOut);
        Separation?.End();
        Dispose();
    }

    /// <summary>Puts the base in place, and keeps the merged bits.</summary>
    /// <param name="takeOut">Takes out of a copy what is merged.</param>
    public void Suspend(Action<Tensor> takeOut)
    {
        var bits = Copy(Current);
        try
        {
            if (Kept is { } kept) Current.copy_(kept);
            else Change(takeOut);
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

    /// <summary>Puts the merged bits back.</summary>
    public void Resume()
    {
        if (suspended is null) return;
        if (keepBase) original = Copy(Current);
        Current.copy_(suspended);
        suspended.Dispose();
        suspended = null;
    }

    /// <summary>A copy of it as it would be unmerged, or itself.</summary>
    /// <param name="takeOut">Takes out of a copy what is merged.</param>
    public Tensor Unmerged(Action<Tensor> takeOut)
    {
        if (suspended is not null) return Current.detach();
        if (Kept is { } kept) return kept.detach();
        using var scope = NewDisposeScope();
        var current = Current;
        var full = current.to(accumulator, copy: true);
        takeOut(full);
        return full.to(current.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Forgets what is merged; the values stay as they are.</summary>
    public void Dispose()
    {
        if (suspended is null) Separation?.Keep();
        else Separation?.End();
        original?.Dispose();
        suspended?.Dispose();
        (original, suspended) = (null, null);
    }

    private static Tensor Copy(Tensor tensor) => tensor.detach().clone().DetachFromDisposeScope();
}
