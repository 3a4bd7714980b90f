using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>y += delta with y in 16 bits and delta in float32, rounded once.</summary>
internal static class RoundedAdd
{
    /// <summary>Adds <paramref name="delta"/> to <paramref name="target"/> in place.</summary>
    public static void Add(Tensor target, Tensor delta)
    {
        target.add_(delta);
    }
}
