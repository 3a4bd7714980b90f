using System.ComponentModel;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>What the generated interceptors call instead of a target's own <c>forward</c> and <c>call</c>.</summary>
/// <remarks>Calling it for a module that is not adapted is harmless and costs a table look-up without allocation.</remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class AdapterDispatch
{
    /// <summary>The forward pass of <paramref name="target"/> with its active adapters; its own forward pass where it has none.</summary>
    /// <param name="target">Any module.</param>
    /// <param name="input">(…, in).</param>
    /// <returns>(…, out).</returns>
    public static Tensor Forward(nn.Module<Tensor, Tensor> target, Tensor input) =>
        DispatchTable.Find(target) is { } adapted ? adapted.Forward(input) : target.forward(input);

    /// <summary>As <see cref="Forward(nn.Module{Tensor, Tensor}, Tensor)"/>, in one of several calls that read the same value.</summary>
    /// <param name="target">Any module.</param>
    /// <param name="input">(…, in).</param>
    /// <param name="group">The calls.</param>
    /// <returns>(…, out).</returns>
    public static Tensor Forward(nn.Module<Tensor, Tensor> target, Tensor input, ProjectionGroup group) =>
        DispatchTable.Find(target) is { } adapted ? adapted.Forward(input, group) : target.forward(input);

    /// <summary>As <see cref="Forward(nn.Module{Tensor, Tensor}, Tensor)"/>, with the hooks that are registered on <paramref name="target"/>.</summary>
    /// <param name="target">Any module.</param>
    /// <param name="input">(…, in).</param>
    /// <returns>(…, out).</returns>
    public static Tensor Call(nn.Module<Tensor, Tensor> target, Tensor input) =>
        DispatchTable.Find(target) is { } adapted ? ModuleHooks.Around(target, input, adapted.Forward) : target.call(input);

    /// <summary>As <see cref="Call(nn.Module{Tensor, Tensor}, Tensor)"/>, in one of several calls that read the same value.</summary>
    /// <param name="target">Any module.</param>
    /// <param name="input">(…, in).</param>
    /// <param name="group">The calls.</param>
    /// <returns>(…, out).</returns>
    public static Tensor Call(nn.Module<Tensor, Tensor> target, Tensor input, ProjectionGroup group) =>
        DispatchTable.Find(target) is not { } adapted ? target.call(input) : ModuleHooks.Around(target, input, other => adapted.Forward(other, group));

    /// <summary>As <see cref="Call(nn.Module{Tensor, Tensor}, Tensor)"/>, for a receiver that the call site knows only by its interface.</summary>
    public static Tensor Call(nn.IModule<Tensor, Tensor> target, Tensor input) =>
        target is nn.Module<Tensor, Tensor> module ? Call(module, input) : target.call(input);
}
