namespace Fossil.Cuda;

/// <summary>
/// The CUDA C of a shard size. The generator writes it into the file of the shard size, and the run time makes it for a shard size that no assembly brought: this file and the texts beside it are
/// compiled into both.
/// </summary>
internal static class CudaShardSource
{
    private static readonly Lazy<string> BodyText = new(() => string.Concat(new[] { "device.cu", "shard.cu", "few_rows.cu" }.Select(CudaText.Read)));

    private static readonly Lazy<string> TensorCoresText = new(() => CudaText.Read("tensor_cores.cu"));

    /// <summary>The kernels of every element type, behind the constants of <see cref="Head"/>.</summary>
    public static string Body => BodyText.Value;

    /// <summary>What elements of 16 bits have besides, behind <see cref="Body"/>.</summary>
    public static string TensorCores => TensorCoresText.Value;

    /// <summary>The constants of a shard size and an element type.</summary>
    public static string Head(int shardSize, CudaElement element)
    {
        var shape = new CudaShardShape(shardSize, element.Size);
        var text = $"""
            // Shard size {shardSize}, {element.CudaType}: y += S D with S[n, j] = sum of x[n, i * {shardSize} + j] over i, and its gradients.
            #define Element {element.CudaType}

            // Vectors of 16 bytes have {shape.Lanes} elements; after {shape.Period} of them the columns fall on the same shards again.
            constexpr int ShardSize = {shardSize}, Lanes = {shape.Lanes}, Period = {shape.Period};

            // Threads of a block. For few rows: how many there are at most, rows and columns of a tile of y, and rows of a tile of dD.
            constexpr int Threads = {CudaShardShape.Threads}, MostRows = {CudaShardShape.MostRows}, RowTile = {shape.RowTile}, ColumnsOfTile = {CudaShardShape.ColumnsOfTile}, ShardsOfTile = {CudaShardShape.ShardsOfTile};


            """;
        if (element.HasTensorCores)
        {
            text += $"""
                // With tensor cores: rows of a block, columns of y, columns of dy that a part of dS is made of, and shards and columns of a tile of dD.
                constexpr int TensorRows = {CudaShardShape.TensorRows}, TensorColumns = {CudaShardShape.TensorColumns}, TensorPart = {CudaShardShape.TensorPart}, TensorShards = {CudaShardShape.TensorShards}, TensorGradient = {CudaShardShape.TensorGradient};


                """;
        }
        return text.Replace("\r\n", "\n");
    }

    /// <summary>The whole source.</summary>
    public static string Of(int shardSize, CudaElement element) => Head(shardSize, element) + Body + (element.HasTensorCores ? TensorCores : "");
}
