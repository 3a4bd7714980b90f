using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>A model that several threads use.</summary>
public static class ExclusiveUse
{
    /// <summary>
    /// Keeps other threads and tasks out of a model until the result is disposed: for calls that belong together, such as the forward pass, backward pass and optimizer step of a training loop of
    /// your own, or <c>SetAdapter</c> and the text that is generated with it. Others that enter the model the same way, call an adapted layer, change adapters or use a decoder wait.
    /// </summary>
    /// <param name="model">The model, with or without adapters, or a part of one: a model and its parts are kept together.</param>
    /// <returns>
    /// Dispose it, on whatever thread. It belongs to the method that asked for it and to what that awaits or starts; it does not come out of an awaited async method.
    /// </returns>
    /// <exception cref="AdapterStateException">Waiting would never end: another thread waits for this one, or has kept the model without using it.</exception>
    public static IDisposable UseExclusively(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var guard = ModelGuard.Of(model);
        using var entry = guard.Enter();
        return guard.Lease();
    }
}
