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
    private Parameter? parameter;
    private IGradientSlot? slot;
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

    /// <summary>
    /// Memory for the gradient, where the optimizer will read it; null where there is none, or something in it already. A product may be written there, all of it, and is then the gradient or the first
    /// part of it.
    /// </summary>
    /// <param name="product">The dtype of the product.</param>
    public Tensor? FindPlace(ScalarType product) => gradient is null && product == dtype ? slot?.FindFree() : null;

    /// <summary>Adds a part of the gradient. The call owns it, and may give no other use to it.</summary>
    public void AddGradient(Tensor? part)
    {
        if (part is not null) gradient = gradient?.add_(part, Scalars.One) ?? part;
    }

    /// <summary>Remembers what the backward pass asks of the tensor: whether it is a parameter, or one that the caller made to see its gradient, so that one can be made whatever happens.</summary>
    internal void Describe()
    {
        if (!NeedsGradient || !Value.is_leaf) return;
        parameter = Value as Parameter;
        if (parameter is null) leaf = (Value.shape, Value.dtype, Value.device);
    }

    /// <summary>Finds where the gradient goes. Before the call's backward pass.</summary>
    internal void FindSlot() => slot = parameter is null ? null : DirectGradients.SlotOf(parameter);

    /// <summary>The gradient in the tensor's own dtype, once; null where it went to the optimizer's memory.</summary>
    internal Tensor? TakeGradient()
    {
        var taken = gradient;
        gradient = null;
        if (taken is null || slot?.TryAdd(taken) == true) return null;
        return taken.dtype == dtype ? taken : taken.to(dtype!.Value);
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
