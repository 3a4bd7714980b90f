using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>A parameter that was given memory of its own although others of the model share it. If it is never ended, it stays so.</summary>
internal sealed class Separation
{
    private readonly WeightPlace place;
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
        (this.place, Others, this.held, this.partner, this.isWhole) = (place, others, held, partner, isWhole);
        foreach (var layer in held) layer.Claim();
        Resume();
    }

    /// <summary>What it shared its memory with.</summary>
    public IReadOnlyList<WeightPlace> Others { get; }

    /// <summary>What the others still have of the values that it shared; null where none has the whole matrix.</summary>
    public Tensor? SharedValues => place.Module is TiedLinear tied ? BaseWeight.Find(tied.Source) : partner is { } other && isWhole ? other.Find() : null;

    /// <summary>Separates again after <see cref="Suspend"/>, with the values that all have now. It is the same Parameter as before, so that an optimizer that has it goes on.</summary>
    public void Resume()
    {
        if (isActive) return;
        isActive = true;
        foreach (var layer in held) layer.Hold();
        if (partner is null) return;
        original = place.Module.get_parameter(place.Name)!;
        own = Copy(original, own);
        place.Put(own);
    }

    /// <summary>Puts the tie back: the values are those of the others again.</summary>
    public void Suspend()
    {
        if (!isActive) return;
        isActive = false;
        foreach (var layer in held) layer.Release();
        if (partner is null || !place.CanPut) return;
        own = place.Module.get_parameter(place.Name)!;
        place.Put(Shared(own));
    }

    /// <summary>Puts the tie back for good.</summary>
    public void End()
    {
        Suspend();
        foreach (var layer in held) layer.Unclaim();
        own?.Dispose();
    }

    /// <summary>A parameter with the values of <paramref name="source"/>: <paramref name="earlier"/>, where it is of that dtype and device.</summary>
    internal static Parameter Copy(Tensor source, Parameter? earlier)
    {
        using var noGrad = no_grad();
        if (earlier is { IsInvalid: false } && IsAlike(earlier, source) && earlier.shape.SequenceEqual(source.shape))
        {
            earlier.copy_(source);
            return earlier;
        }

        earlier?.Dispose();
        var parameter = new Parameter(source.detach().clone(), source.requires_grad);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>The parameter of the tie. <c>.to</c> gave each module its own: then it is the partner's, or the old one as <c>.to</c> would have made it.</summary>
    private Parameter Shared(Parameter current)
    {
        if (original is { IsInvalid: false } && IsAlike(original, current)) return original;
        if ((isWhole || original is not { IsInvalid: false }) && partner!.Value.Module.get_parameter(partner.Value.Name) is { IsInvalid: false } moved) return moved;
        using var noGrad = no_grad();
        var converted = new Parameter(original!.detach().to(current.dtype, current.device), original.requires_grad);
        converted.DetachFromDisposeScope();
        return converted;
    }

    // A Device is equal to itself only.
    private static bool IsAlike(Tensor one, Tensor other) => (one.dtype, one.device_type, one.device_index) == (other.dtype, other.device_type, other.device_index);
}
