using Fossil.Autograd;
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
/// recomputed activations, <c>autograd.grad</c>, which leaves the gradients alone. In a pass that is known to accumulate (<see cref="Accumulate"/>) adapted layers write them here themselves.
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
        var slot = new Slot(this, parameter, slots.Count, length);
        slots.Add(slot);
        var step = Alignment / parameter.ElementSize;
        length = (slot.Offset + slot.Count + step - 1) / step * step;
        return slot;
    }

    private Tensor Values => values ??= New(0);

    private Tensor Gradients => gradients ??= New(Nothing);

    private Tensor FirstMoments => firstMoments ??= New(0);

    private Tensor SecondMoments => secondMoments ??= New(0);

    /// <summary>The dtype of the buffers.</summary>
    public ScalarType Dtype => dtype;

    /// <summary>Where the buffers are.</summary>
    public DevicePlace Place { get; } = DevicePlace.Of(device);

    /// <summary>Where the gradients begin, in the memory of the device.</summary>
    public nint GradientMemory => NativeTensor.Data(Gradients);

    /// <summary>Whether these are the buffers for a parameter.</summary>
    public bool Fit(Parameter parameter) => parameter.dtype == dtype && DevicePlace.Of(parameter) == Place;

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

    /// <summary>Lets adapted layers write the gradients of parameters in one pass of autograd; until the result is disposed, which must be when the pass is over.</summary>
    /// <param name="slots">Slots of any buffers, by their parameters.</param>
    public static IDisposable Accumulate(IReadOnlyDictionary<Parameter, Slot> slots) => new Accumulation(slots);

    /// <summary>Lets go of the buffers. Memory that parameters have in them goes with these.</summary>
    public void Dispose()
    {
        foreach (var slot in slots) slot.Dispose();
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
    /// <param name="parameter">The parameter.</param>
    /// <param name="index">Which slot it is.</param>
    /// <param name="offset">Its first element.</param>
    public sealed class Slot(FlatBuffers buffers, Parameter parameter, int index, long offset) : IGradientSlot, IDisposable
    {
        private readonly long[] shape = parameter.shape;
        private Tensor? gradient;

        // Whether an adapted layer has ever given the gradient: otherwise libtorch adds it, to zeros.
        private bool isOfLayers;
        private bool isWritten;

        public FlatBuffers Buffers { get; } = buffers;

        public int Index { get; } = index;

        public long Offset { get; } = offset;

        public long Count { get; } = parameter.numel();

        /// <summary>The gradient's memory. It stays the slot's.</summary>
        public Tensor Gradient => gradient ??= Of(Buffers.Gradients).DetachFromDisposeScope();

        /// <summary>New tensors on both moments; the caller disposes them.</summary>
        public (Tensor First, Tensor Second) Moments() => (Of(Buffers.FirstMoments), Of(Buffers.SecondMoments));

        /// <summary>Whether this slot comes right behind another one.</summary>
        public bool Follows(Slot other) => Buffers == other.Buffers && Index == other.Index + 1;

        /// <summary>Whether the parameter has its values in the slot.</summary>
        public bool HoldsValues() => IsAt(Buffers.values, parameter);

        /// <summary>Whether a tensor is the gradient that <see cref="ShowGradient"/> gave.</summary>
        public bool HoldsGradient(Tensor tensor) => IsAt(Buffers.gradients, tensor);

        /// <summary>Whether tensors are those that <see cref="Moments"/> gave.</summary>
        public bool HoldsMoments(Tensor first, Tensor second) => IsAt(Buffers.firstMoments, first) && IsAt(Buffers.secondMoments, second);

        /// <summary>
        /// Moves the parameter's values here. Autograd counts that as a change in place, like the update that it comes with: a graph that was recorded before it can no longer be used.
        /// </summary>
        public void TakeValues()
        {
            if (HoldsValues() || !parameter.is_contiguous()) return;
            using var scope = NewDisposeScope();
            var place = Of(Buffers.Values);
            place.copy_(parameter);
            parameter.set_(place);
        }

        /// <summary>Lets autograd add the parameter's gradient here, to what is in the memory.</summary>
        public void ShowGradient()
        {
            using var current = parameter.grad;
            if (current is null || !HoldsGradient(current)) parameter.grad = Gradient;
        }

        /// <inheritdoc/>
        public Tensor? FindFree()
        {
            if (!isWritten) TakeFromLibtorch();
            return isWritten ? null : Gradient;
        }

        /// <inheritdoc/>
        public bool TryAdd(Tensor gradient)
        {
            isOfLayers = true;
            if (ReferenceEquals(gradient, this.gradient))
            {
                Show();
                return true;
            }

            if (!gradient.shape.SequenceEqual(shape)) return false;
            if (FindFree() is not { } free)
            {
                Gradient.add_(gradient, Scalars.One);
            }
            else
            {
                free.copy_(gradient);
                Show();
            }

            return true;
        }

        /// <summary>Gets ready for a pass in which layers write; false where the gradient is elsewhere, and others are added to it there.</summary>
        internal bool TryBegin()
        {
            if (parameter.IsInvalid || !parameter.requires_grad) return false;
            using var current = parameter.grad;
            if (current is not null && !HoldsGradient(current)) return false;
            isWritten = current is not null;
            if (!isWritten && !isOfLayers) Clear();
            return true;
        }

        /// <summary>Shows zeros where the pass wrote nothing.</summary>
        internal void End()
        {
            if (FindFree() is not null) Clear();
        }

        /// <summary>Brings the parameter's gradient here where it is elsewhere, and shows that there is none where it has none.</summary>
        public void TakeGradient()
        {
            using var current = parameter.grad;
            if (current is null) Clear();
            else if (!HoldsGradient(current)) TakeFromLibtorch();
        }

        internal Tensor Of(Tensor buffer)
        {
            using var flat = buffer.narrow(0, Offset, Count);
            return flat.view(shape);
        }

        public void Dispose()
        {
            gradient?.Dispose();
            gradient = null;
        }

        private void Clear()
        {
            using var withoutGradient = no_grad();
            Gradient.fill_(Scalars.Of(Nothing));
            Show();
        }

        /// <summary>What libtorch added first, of another use of the parameter, it put elsewhere.</summary>
        private void TakeFromLibtorch()
        {
            using var elsewhere = parameter.grad;
            if (elsewhere is null) return;
            using var withoutGradient = no_grad();
            Gradient.copy_(elsewhere);
            Show();
        }

        private void Show()
        {
            parameter.grad = Gradient;
            isWritten = true;
        }

        private bool IsAt(Tensor? buffer, Tensor tensor) => buffer is not null && NativeTensor.Data(tensor) == NativeTensor.Data(buffer) + ((nint)Offset * (nint)buffer.ElementSize);
    }

    /// <summary>A pass in which adapted layers write.</summary>
    private sealed class Accumulation : IDisposable
    {
        private readonly Dictionary<Parameter, IGradientSlot> open = new(ReferenceEqualityComparer.Instance);
        private readonly DirectGradients direct;

        public Accumulation(IReadOnlyDictionary<Parameter, Slot> slots)
        {
            foreach (var (parameter, slot) in slots)
            {
                if (slot.TryBegin()) open.Add(parameter, slot);
            }

            direct = DirectGradients.Open(open);
        }

        public void Dispose()
        {
            direct.Dispose();
            foreach (var slot in open.Values) ((Slot)slot).End();
        }
    }
}
