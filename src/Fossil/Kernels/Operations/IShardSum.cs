using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>The shard sum.</summary>
internal interface IShardSum
{
    /// <summary><paramref name="sum"/>[n, j] = Σ_i <paramref name="input"/>[n, i·r + j], added up in float32; a last chunk that is shorter than r counts as zero-padded.</summary>
    /// <param name="input">(rows, in).</param>
    /// <param name="sum">(rows, r), float32; overwritten.</param>
    bool TryShardSum(in KernelMatrix input, in KernelMatrix sum);
}
