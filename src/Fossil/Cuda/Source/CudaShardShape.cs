namespace Fossil.Cuda;

/// <summary>How the CUDA kernels of a shard size lay rows over threads. The source has these numbers as constants, and the launch stubs reckon with the same.</summary>
/// <param name="ShardSize">r.</param>
/// <param name="ElementSize">Bytes of an element.</param>
internal sealed record CudaShardShape(int ShardSize, int ElementSize)
{
    /// <summary>The largest shard size that has kernels: S of a row, and the sums of a period, must fit into shared memory.</summary>
    public const int LargestShardSize = 1024;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Rows up to which the fused kernels take the whole step.</summary>
    public const int MostRows = 64;

    /// <summary>Columns of a tile of a product, in the fused kernels.</summary>
    public const int ColumnsOfTile = 128;

    /// <summary>Rows of dD that a block makes, in the fused kernels.</summary>
    public const int ShardsOfTile = 8;

    /// <summary>With tensor cores: rows of a block, columns of y, columns of dy that a part of dS is made of, and shards and columns of a tile of dD.</summary>
    public const int TensorRows = 8, TensorColumns = 512, TensorPart = 256, TensorShards = 16, TensorGradient = 64;

    /// <summary>Floats in the 48 KB of shared memory that every device has.</summary>
    private const int SharedFloats = 48 * 1024 / 4;

    private const int Warp = 32;

    /// <summary>Elements of a vector of 16 bytes.</summary>
    public int Lanes => 16 / ElementSize;

    /// <summary>Vectors of a row after which the columns fall on the same shards again.</summary>
    public int Period => ShardSize / Gcd(ShardSize, Lanes);

    /// <summary>Rows of a block of the fused kernels: as many of eight as leave room for their sums.</summary>
    public int RowTile
    {
        get
        {
            var rows = 8;
            while (Math.Max(rows * Lanes * LaneStride(Threads / rows), Threads / Warp * rows * ColumnsOfTile) + (rows * ShardSize) > SharedFloats) rows /= 2;
            return rows;
        }
    }

    private int SideBySide(int threads) => threads < Period ? Period : threads / Period * Period;

    private int LaneStride(int threads) => SideBySide(threads) is var slots && slots % Warp == 0 ? slots + (Warp / Lanes) : slots;

    private static int Gcd(int left, int right) => right == 0 ? left : Gcd(right, left % right);
}
