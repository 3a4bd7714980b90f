using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>
/// The kernels of one shard size. The generator emits one implementation for each shard size that a compilation names, with the size as a
/// literal constant; it registers itself with <see cref="CompilerServices.ShardKernelRegistry"/>. Each method is a launch stub: it looks at dtype, layout and device, and answers false where no kernel of
/// this set fits, having written nothing; the caller then uses libtorch's operations.
/// </summary>
public interface IShardKernels
{
    /// <summary>The shard size r that the kernels are specialised to.</summary>
    int ShardSize { get; }

    /// <summary>
    /// The shard sum: <paramref name="sum"/>[n, j] = Σ_i <paramref name="input"/>[n, i·r + j], added up in float32.
    /// A last chunk that is shorter than r counts as zero-padded.
    /// </summary>
    /// <param name="input">(rows, in), float32 or bfloat16.</param>
    /// <param name="sum">(rows, r), float32; overwritten.</param>
    /// <returns>Whether a kernel ran.</returns>
    bool TryShardSum(Tensor input, Tensor sum);

    /// <summary>
    /// Adds the tiled gradient: <paramref name="inputGradient"/>[n, c] += <paramref name="shardGradient"/>[n, c mod r], in float32, rounded once.
    /// </summary>
    /// <param name="shardGradient">(rows, r), float32.</param>
    /// <param name="inputGradient">(rows, in), float32 or bfloat16; updated in place.</param>
    /// <returns>Whether a kernel ran.</returns>
    bool TryAddTiled(Tensor shardGradient, Tensor inputGradient);
}
