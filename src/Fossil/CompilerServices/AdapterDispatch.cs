using System.ComponentModel;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>What the generated interceptors call instead of a target's own <c>forward</c> and <c>call</c>.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class AdapterDispatch
{
    /// <summary>The forward pass of <paramref name="target"/> with its active adapters; its own forward pass where it has none.</summary>
    public static Tensor Forward(nn.Module<Tensor, Tensor> target, Tensor input) => target.forward(input);

    /// <summary>As <see cref="Forward"/>, with the hooks that are registered on <paramref name="target"/>.</summary>
    public static Tensor Call(nn.Module<Tensor, Tensor> target, Tensor input) => target.call(input);
}
