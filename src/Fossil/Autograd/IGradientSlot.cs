using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>Where the gradient of one parameter adds up while <see cref="DirectGradients"/> are open: memory of its shape and dtype.</summary>
internal interface IGradientSlot
{
    /// <summary>The memory where nothing is in it yet, so that it may be written, all of it; null where a gradient is there, to which others are added.</summary>
    Tensor? FindFree();

    /// <summary>Adds a gradient, or takes note that what <see cref="FindFree"/> gave was written; false where it does not have the parameter's shape, and nothing is changed.</summary>
    bool TryAdd(Tensor gradient);
}
