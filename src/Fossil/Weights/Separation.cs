using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>A parameter that was given memory of its own although others of the model share it.</summary>
internal sealed class Separation
{
    private readonly TiedLinear[] held;
    private readonly WeightPlace? partner;
    private readonly bool isWhole;
    private Parameter? original;
    private Parameter? own;
    private bool isActive;

    /// <summary>Separates.</summary>
    /// <param name="place">The parameter.</param>
    /// <param name="others">All that share its memory.</param>
    /// <param name="held">The layers among them, or itself, that are tied by <see cref="TiedLinear"/>.</param>
    /// <param name="partner">One that has a parameter of its own on the same memory, if there is any.</param>
    /// <param name="isWhole">Whether the partner has the same matrix, not a part of it.</param>
    public Separation(WeightPlace place, IReadOnlyList<WeightPlace> others, TiedLinear[] held, WeightPlace? partner, bool isWhole)
    {
        (Place, Others, this.held, this.partner, this.isWhole) = (place, others, held, partner, isWhole);
        foreach (var layer in held) layer.Claim();
        Resume();
    }

    /// <summary>The parameter that was separated.</summary>
    public WeightPlace Place { get; }

    /// <summary>The Parameter of the tie, while another one is in its place; null otherwise.</summary>
    public Parameter? Original => isActive && original is { IsInvalid: false } ? original : null;

    /// <summary>What it shared its memory with.</summary>
    public IReadOnlyList<WeightPlace> Others { get; }

    /// <summary>The values that <see cref="End"/> brings back; null where it brings none, because the memory was given to the others.</summary>
    public Tensor? SharedValues => Place.Module is TiedLinear { IsLastHold: true } tied ? BaseWeight.Find(tied.Source) : Original;

    /// <summary>Separates again after <see cref="Suspend"/>, with the values that all have now. It is the same Parameter as before, so that an optimizer that has it goes on.</summary>
    public void Resume()
    {
        if (isActive) return;
        isActive = true;
        foreach (var layer in held) layer.Hold();
        if (partner is null) return;
        original = Place.Module.get_parameter(Place.Name)!;
        own = Copy(original, own);
        Place.Put(own);
    }

    /// <summary>Puts the tie back: the values are those of the others again.</summary>
    public void Suspend()
    {
        if (!isActive) return;
        isActive = false;
        foreach (var layer in held) layer.Release();
        if (partner is null || !Place.CanPut) return;
        own = Place.Module.get_parameter(Place.Name)!;
        if (Shared(own) is var shared && !ReferenceEquals(shared, own)) Place.Put(shared);
    }

    /// <summary>Puts the tie back for good.</summary>
    public void End()
    {
        Suspend();
        foreach (var layer in held) layer.Unclaim();
        if (own is not null && !ReferenceEquals(own, Place.Find())) own.Dispose();
    }

    /// <summary>Leaves it separated for good.</summary>
    public void Keep()
    {
        if (!isActive) return;
        foreach (var layer in held)
        {
            layer.Untie();
            layer.Release();
            layer.Unclaim();
        }
    }

    /// <summary>A parameter with the values of <paramref name="source"/>: <paramref name="earlier"/>, where it is of that dtype and device.</summary>
    internal static Parameter Copy(Tensor source, Parameter? earlier) => Copy(source, earlier, source);

    private static Parameter Copy(Tensor source, Parameter? earlier, Tensor like)
    {
        using var noGrad = no_grad();
        if (earlier is { IsInvalid: false } && IsAlike(earlier, source) && earlier.shape.SequenceEqual(source.shape))
        {
            earlier.copy_(source);
            return earlier;
        }

        earlier?.Dispose();
        using var detached = source.detach();
        var parameter = new Parameter(detached.to(like.dtype, like.device, copy: true), source.requires_grad);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>
    /// The parameter of the tie. <c>.to</c> gave the partner another: then it is that one, unless the partner is separated too and has other values; otherwise the old one as <c>.to</c> would have made it.
    /// </summary>
    private Parameter Shared(Parameter current)
    {
        using var scope = NewDisposeScope();
        var kept = original is { IsInvalid: false } ? original : null;
        if (kept is not null && IsAlike(kept, current)) return kept;
        var moved = isWhole && partner!.Value.Module.get_parameter(partner.Value.Name) is { IsInvalid: false } parameter && IsAlike(parameter, current) ? parameter : null;
        if (kept is null) return moved ?? current;
        var converted = Copy(kept, null, current);
        if (moved is null || !moved.equal(converted).all().item<bool>()) return converted;
        converted.Dispose();
        return moved;
    }

    private static bool IsAlike(Tensor one, Tensor other) => one.dtype == other.dtype && DevicePlace.Of(one) == DevicePlace.Of(other);
}
