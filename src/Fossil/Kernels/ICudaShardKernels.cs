using System.ComponentModel;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>
/// The CUDA kernels of one shard size: their source, and a launch stub for each. The generator emits one implementation for each shard size that a compilation names; it registers itself with
/// <see cref="CudaShardRegistry"/>. A stub takes addresses, sizes and strides; it answers false where its kernels do not take them, with nothing launched.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public interface ICudaShardKernels
{
    /// <summary>The shard size r that the kernels are specialised to.</summary>
    int ShardSize { get; }

    /// <summary>CUDA C for an element type; null for one that has no kernels.</summary>
    string? Source(ScalarType elementType);

    /// <summary><paramref name="sum"/>[n, j] = Σ_i <paramref name="x"/>[n, i·r + j], added up in float32; a last, shorter chunk counts as zero-padded.</summary>
    /// <param name="queue">Where it is launched.</param>
    /// <param name="x">(rows, in).</param>
    /// <param name="sum">(rows, r), float32, or x's type, to which it is then rounded; written.</param>
    bool TryShardSum(CudaQueue queue, in CudaMatrix x, in CudaMatrix sum);

    /// <summary><paramref name="x"/>[n, c] += <paramref name="gradient"/>[n, c mod r], rounded once.</summary>
    /// <param name="queue">Where it is launched.</param>
    /// <param name="gradient">(rows, r), float32.</param>
    /// <param name="x">(rows, in); updated in place.</param>
    /// <param name="rounds">Whether the gradient is rounded to x's type before it is added.</param>
    /// <param name="adds">Whether it is added; x is written and not read otherwise.</param>
    bool TryAddTiled(CudaQueue queue, in CudaMatrix gradient, in CudaMatrix x, bool rounds, bool adds);

    /// <summary>y += S D with S the shard sum of x, for up to 64 rows, in one launch.</summary>
    /// <param name="queue">Where it is launched.</param>
    /// <param name="x">(rows, in).</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling; float32.</param>
    /// <param name="y">(rows, out), as x; updated in place.</param>
    /// <param name="sum">S (rows, r), float32, written for a backward pass; none where there will be none.</param>
    /// <param name="isRounded">Whether the factors of the product are rounded to x's type, if that has 16 bits: then tensor cores multiply them.</param>
    /// <param name="adds">Whether it is added; y is written and not read otherwise.</param>
    bool TryForward(CudaQueue queue, in CudaMatrix x, in CudaMatrix shard, in CudaMatrix y, in CudaMatrix sum, bool isRounded, bool adds);

    /// <summary>As <see cref="TryForward"/> without rounding, for rows of several adapters, of any number.</summary>
    /// <param name="queue">Where it is launched.</param>
    /// <param name="x">(rows, in).</param>
    /// <param name="shards">Addresses of the adapters' D, on the device.</param>
    /// <param name="adapters">For each row which of them, int64, on the device; a negative number for none.</param>
    /// <param name="shard">Sizes and stride of every D.</param>
    /// <param name="y">(rows, out), as x; updated in place.</param>
    bool TryForwardByAdapter(CudaQueue queue, in CudaMatrix x, nint shards, nint adapters, in CudaMatrix shard, in CudaMatrix y);

    /// <summary>dx += tile(dy Dᵀ), where dy Dᵀ is rounded to dx's type before it is added, and dD = Sᵀ dy, for up to 64 rows, in one launch.</summary>
    /// <param name="queue">Where it is launched.</param>
    /// <param name="dy">(rows, out).</param>
    /// <param name="shard">D (r, out), or (r, m) for its tiling; float32.</param>
    /// <param name="sum">S (rows, r), float32.</param>
    /// <param name="dx">(rows, in), as dy; updated in place. None where x needs no gradient.</param>
    /// <param name="gradient">dD, as D; written. None where D needs no gradient.</param>
    /// <param name="isRounded">As in <see cref="TryForward"/>.</param>
    /// <param name="adds">Whether the tiled gradient is added; dx is written and not read otherwise.</param>
    bool TryBackward(CudaQueue queue, in CudaMatrix dy, in CudaMatrix shard, in CudaMatrix sum, in CudaMatrix dx, in CudaMatrix gradient, bool isRounded, bool adds);
}
