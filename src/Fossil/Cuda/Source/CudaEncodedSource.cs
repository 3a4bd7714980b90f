namespace Fossil.Cuda;

/// <summary>The CUDA C of the kernels for weights that are held as blocks or codes.</summary>
internal static class CudaEncodedSource
{
    /// <summary>Threads of a block, and rows of a weight that a warp multiplies.</summary>
    public const int Threads = 256, RowsOfWarp = 2;

    private static readonly Lazy<string> BodyText = new(() => string.Concat(new[] { "device.cu", "encoded.cu", "uniform_blocks.cu", "super_blocks.cu", "codes.cu" }.Select(CudaText.Read)));

    private static readonly Lazy<string> RowsText = new(() => CudaText.Read("encoded_rows.cu"));

    /// <summary>The source for a format.</summary>
    /// <param name="format">The format.</param>
    /// <param name="element">The type of x and y, and of rows that are written out.</param>
    /// <param name="stored">The type that each value is rounded to first.</param>
    public static string Of(CudaEncodedFormat format, CudaElement element, CudaElement stored) => $"""
        // Weights as {format.Name}, computed with in {element.CudaType}.
        constexpr int Threads = {Threads}, RowsOfWarp = {RowsOfWarp};


        """.Replace("\r\n", "\n") + BodyText.Value + $"\ntypedef {format.Name} Format;\ntypedef {element.CudaType} Element;\ntypedef {stored.CudaType} Stored;\n" + RowsText.Value;
}
