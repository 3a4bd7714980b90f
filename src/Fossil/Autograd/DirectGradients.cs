using TorchSharp.Modules;

namespace Fossil.Autograd;

/// <summary>
/// A backward pass that accumulates into known memory: until it is disposed, adapted layers add the gradients of these parameters to their slots themselves, and give libtorch none. Libtorch would copy
/// each, or add it to zeros that were written before. What other operations give to the same parameters is libtorch's to add, as always.
/// </summary>
/// <remarks>
/// It must be a pass that accumulates, as <c>backward()</c> does: <c>autograd.grad</c> would get nothing. Autograd may run it on threads of its own, so it is not bound to one; the caller has the model
/// for itself.
/// </remarks>
internal sealed class DirectGradients : IDisposable
{
    private static readonly Lock Lock = new();
    private static volatile DirectGradients[] open = [];

    private readonly IReadOnlyDictionary<Parameter, IGradientSlot> slots;

    private DirectGradients(IReadOnlyDictionary<Parameter, IGradientSlot> slots) => this.slots = slots;

    /// <summary>Opens slots.</summary>
    /// <param name="slots">Those of the parameters, found by reference.</param>
    public static DirectGradients Open(IReadOnlyDictionary<Parameter, IGradientSlot> slots)
    {
        var opened = new DirectGradients(slots);
        lock (Lock) open = [.. open, opened];
        return opened;
    }

    /// <summary>The open slot of a parameter; null where there is none.</summary>
    public static IGradientSlot? SlotOf(Parameter parameter)
    {
        foreach (var pass in open)
        {
            if (pass.slots.TryGetValue(parameter, out var slot)) return slot;
        }

        return null;
    }

    /// <summary>Closes them.</summary>
    public void Dispose()
    {
        lock (Lock) open = [.. open.Where(pass => pass != this)];
    }
}
