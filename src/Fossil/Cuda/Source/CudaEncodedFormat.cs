namespace Fossil.Cuda;

/// <summary>A format of weights that the CUDA kernels read.</summary>
/// <param name="Name">Its name, which is that of the struct in the source.</param>
/// <param name="Columns">What the columns of a weight are a multiple of, and the first one that is asked for.</param>
/// <param name="Alignment">What the address of each row is a multiple of.</param>
internal sealed record CudaEncodedFormat(string Name, int Columns, int Alignment)
{
    /// <summary>GGUF's blocks, and codes with scales beside them. GGUF's types that look eight elements up in a grid are the host's.</summary>
    public static readonly CudaEncodedFormat[] All =
    [
        new("Q4_0", 32, 2), new("Q4_1", 32, 4), new("Q5_0", 32, 2), new("Q5_1", 32, 8), new("Q8_0", 32, 2), new("IQ4_NL", 32, 2), new("MXFP4", 32, 1), new("NVFP4", 64, 4),
        new("Q2_K", 256, 4), new("Q3_K", 256, 2), new("Q4_K", 256, 8), new("Q5_K", 256, 8), new("Q6_K", 256, 2), new("IQ4_XS", 256, 8), new("TQ1_0", 256, 2), new("TQ2_0", 256, 2),
        new("FourBits", 8, 4), new("Int8", 8, 8), new("Float8E4M3", 8, 8), new("Float8E5M2", 8, 8),
    ];

    /// <summary>The format of this name; null where kernels do not read it.</summary>
    public static CudaEncodedFormat? Find(string name) => Array.Find(All, format => format.Name == name);
}
