using Fossil.Concurrency;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>
/// A tensor that an <see cref="AdapterCall"/> works with, by name instead of by its position in a list. It is there in the forward pass, and, where that saved it, again in the backward pass; in
/// between the call refers to nothing.
/// </summary>
internal class CallTensor
{
    internal CallTensor(Tensor? tensor) => Optional = tensor;

    /// <summary>The tensor.</summary>
    public Tensor Value => Optional ?? throw new InvalidOperationException("A backward pass asks for a tensor that its forward pass did not save.");

    /// <summary>The tensor; null where the call has none.</summary>
    public Tensor? Optional { get; private set; }

    /// <summary>Puts what autograd kept back in place, or lets go of it.</summary>
    internal void Set(Tensor? tensor) => Optional = tensor;
}

/// <summary>A tensor that a gradient may be wanted for.</summary>
internal sealed class CallInput : CallTensor
{
    private readonly ScalarType? dtype;
    private (long[] Shape, ScalarType Dtype, Device Device)? leaf;
    private Tensor? gradient;

    internal CallInput(Tensor? tensor)
        : base(tensor) => dtype = tensor?.dtype;

    /// <summary>Whether a gradient is wanted (PyTorch: <c>needs_input_grad</c>).</summary>
    public bool NeedsGradient { get; internal set; }

    /// <summary>Sets the gradient, in any dtype; null for none.</summary>
    public Tensor? Gradient
    {
        set => gradient = value;
    }

    /// <summary>Adds a part of the gradient. The call owns it, and may give no other use to it.</summary>
    public void AddGradient(Tensor? part)
    {
        if (part is not null) gradient = gradient?.add_(part, Scalars.One) ?? part;
    }

    /// <summary>Remembers whether this is a tensor that the caller made to see its gradient, so that one can be made whatever happens.</summary>
    internal void Describe() => leaf = NeedsGradient && Optional is { is_leaf: true } and not Parameter ? (Optional.shape, Optional.dtype, Optional.device) : null;

    /// <summary>The gradient in the tensor's own dtype, once.</summary>
    internal Tensor? TakeGradient()
    {
        var taken = gradient;
        gradient = null;
        return taken is null || taken.dtype == dtype ? taken : taken.to(dtype!.Value);
    }

    /// <summary>
    /// What the tensor gets after a failure: NaN where the caller asked for its gradient, and nothing otherwise. An optimizer that knows nothing of this library must not write NaN into
    /// parameters.
    /// </summary>
    internal Tensor? FailedGradient()
    {
        gradient = null;
        return leaf is (var shape, var type, var device) ? full(shape, Scalars.Of(double.NaN), dtype: type, device: device) : null;
    }
}
