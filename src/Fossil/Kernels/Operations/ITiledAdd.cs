using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>The addition of a tiled gradient.</summary>
internal interface ITiledAdd
{
    /// <summary><paramref name="inputGradient"/>[n, c] += <paramref name="shardGradient"/>[n, c mod r], in float32, rounded once.</summary>
    /// <param name="shardGradient">(rows, r), float32.</param>
    /// <param name="inputGradient">(rows, in); updated in place.</param>
    bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient);
}
