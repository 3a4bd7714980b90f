using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// One buffer each for the values, gradients and moments of parameters of one dtype on one device, in each of which a parameter has the same <see cref="Slot"/>: they are updated and scaled in one pass.
/// </summary>
/// <remarks>
/// Gradients come there by libtorch's own accumulation, which adds in place to a gradient that is defined. So all that autograd can do goes on working: several backward passes, a layer that is called twice,
/// recomputed activations, <c>autograd.grad</c>, which leaves the gradients alone.
/// </remarks>
/// <param name="dtype">The dtype of all of them.</param>
/// <param name="device">Where they are.</param>
internal sealed class FlatBuffers(ScalarType dtype, Device device) : IDisposable
{
    // Bytes; as libtorch's own memory, because the last bits of a product may depend on where its operands begin.
    private const long Alignment = 64;

    // Added to this a gradient keeps all its bits, the sign of its zeros too, and no sum of numbers comes out as it: so it shows that nothing was added.
    private const double Nothing = -0.0;

    private readonly List<Slot> slots = [];
    private long length;
    private Tensor? values;
    private Tensor? gradients;
    private Tensor? firstMoments;
    private Tensor? secondMoments;
    private Tensor? starts;

    /// <summary>Gives a parameter the next slot. All are given before the first is used.</summary>
    public Slot Add(Parameter parameter)
    {
        var slot = new Slot(this, slots.Count, length, parameter.shape);
        slots.Add(slot);
        var step = Alignment / parameter.ElementSize;
        length = (slot.Offset + slot.Count + step - 1) / step * step;
        return slot;
    }

    private Tensor Values => values ??= New(0);

    private Tensor Gradients => gradients ??= New(Nothing);

    private Tensor FirstMoments => firstMoments ??= New(0);

    private Tensor SecondMoments => secondMoments ??= New(0);

    /// <summary>Whether these are the buffers for a parameter.</summary>
    public bool Fit(Parameter parameter) => parameter.dtype == dtype && DevicePlace.Of(parameter) == DevicePlace.Of(device);

    /// <summary>Takes all gradients out.</summary>
    public void ClearGradients() => gradients?.fill_(Scalars.Of(Nothing));

    /// <summary>Multiplies all gradients.</summary>
    public void ScaleGradients(double factor) => gradients?.mul_(Scalars.Of(factor));

    /// <summary>Which slots hold a gradient since <see cref="ClearGradients"/>, by <see cref="Slot.Index"/>.</summary>
    public bool[] HaveGradients()
    {
        if (gradients is null) return new bool[slots.Count];
        using var scope = NewDisposeScope();
        starts ??= tensor(slots.Select(slot => slot.Offset).ToArray(), device: device).DetachFromDisposeScope();

        // The first element tells it in general.
        var isFirstNothing = IsNothing(gradients.index_select(0, starts)).cpu().data<bool>().ToArray();
        return [.. slots.Select(slot => !isFirstNothing[slot.Index] || HasGradient(slot.Of(gradients)))];
    }

    /// <summary>Whether anything was added to a gradient that <see cref="Slot.ShowGradient"/> gave a parameter, wherever it is now: <c>.to</c> copies it.</summary>
    public static bool HasGradient(Tensor gradient)
    {
        using var scope = NewDisposeScope();
        return !IsNothing(gradient).all().item<bool>();
    }

    /// <summary>Values, gradients and moments from the first of these slots to the last; the caller disposes them.</summary>
    public (Tensor Values, Tensor Gradients, Tensor FirstMoments, Tensor SecondMoments) Range(Slot first, Slot last)
    {
        var count = last.Offset + last.Count - first.Offset;
        return (Part(Values), Part(Gradients), Part(FirstMoments), Part(SecondMoments));

        Tensor Part(Tensor buffer) => buffer.narrow(0, first.Offset, count);
    }

    /// <summary>Lets go of the buffers. Memory that parameters have in them goes with these.</summary>
    public void Dispose()
    {
        foreach (var buffer in new[] { values, gradients, firstMoments, secondMoments, starts }) buffer?.Dispose();
        (values, gradients, firstMoments, secondMoments, starts) = (null, null, null, null, null);
    }

    private Tensor New(double value)
    {
        using var withoutGradient = no_grad();
        return full(length, Scalars.Of(value), dtype, device).DetachFromDisposeScope();
    }

    private static Tensor IsNothing(Tensor gradient) => gradient.eq(Scalars.Zero).logical_and_(gradient.signbit());

    /// <summary>The place of one parameter in each of the buffers.</summary>
    /// <param name="buffers">The buffers.</param>
    /// <param name="index">Which slot it is.</param>
    /// <param name="offset">Its first element.</param>
    /// <param name="shape">The parameter's shape.</param>
    public sealed class Slot(FlatBuffers buffers, int index, long offset, long[] shape)
    {
        public FlatBuffers Buffers { get; } = buffers;

        public int Index { get; } = index;

        public long Offset { get; } = offset;

        public long Count { get; } = shape.Aggregate(1L, (count, size) => count * size);

        /// <summary>New tensors on both moments; the caller disposes them.</summary>
        public (Tensor First, Tensor Second) Moments() => (Of(Buffers.FirstMoments), Of(Buffers.SecondMoments));

        /// <summary>Whether this slot comes right behind another one.</summary>
        public bool Follows(Slot other) => Buffers == other.Buffers && Index == other.Index + 1;

        /// <summary>Whether a tensor is the parameter with its values in the slot.</summary>
        public bool HoldsValues(Tensor tensor) => IsAt(Buffers.values, tensor);

        /// <summary>Whether a tensor is the gradient that <see cref="ShowGradient"/> gave.</summary>
        public bool HoldsGradient(Tensor tensor) => IsAt(Buffers.gradients, tensor);

        /// <summary>Whether tensors are those that <see cref="Moments"/> gave.</summary>
        public bool HoldsMoments(Tensor first, Tensor second) => IsAt(Buffers.firstMoments, first) && IsAt(Buffers.secondMoments, second);

        /// <summary>
        /// Moves a parameter's values here. Autograd counts that as a change in place, like the update that it comes with: a graph that was recorded before it can no longer be used.
        /// </summary>
        public void TakeValues(Parameter parameter)
        {
            if (HoldsValues(parameter) || !parameter.is_contiguous()) return;
            using var scope = NewDisposeScope();
            var place = Of(Buffers.Values);
            place.copy_(parameter);
            parameter.set_(place);
        }

        /// <summary>Lets autograd add the parameter's gradient here.</summary>
        public void ShowGradient(Parameter parameter)
        {
            using var current = parameter.grad;
            if (current is not null && HoldsGradient(current)) return;
            using var place = Of(Buffers.Gradients);
            parameter.grad = place;
        }

        internal Tensor Of(Tensor buffer)
        {
            using var flat = buffer.narrow(0, Offset, Count);
            return flat.view(shape);
        }

        private bool IsAt(Tensor? buffer, Tensor tensor) => buffer is not null && NativeTensor.Data(tensor) == NativeTensor.Data(buffer) + ((nint)Offset * (nint)buffer.ElementSize);
    }
}
