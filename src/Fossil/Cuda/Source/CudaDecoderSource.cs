namespace Fossil.Cuda;

/// <summary>The CUDA C of the decoders' kernels.</summary>
internal static class CudaDecoderSource
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Vectors of a row that a thread keeps in registers, in a kernel that reads one matrix.</summary>
    public const int VectorsKept = 4;

    private static readonly Lazy<string> BodyText = new(() => string.Concat(new[] { "device.cu", "rows.cu", "rms_norm.cu", "rotary.cu", "gate.cu", "cross_entropy.cu" }.Select(CudaText.Read)));

    /// <summary>Elements of a vector of 16 bytes.</summary>
    public static int Lanes(CudaElement element) => 16 / element.Size;

    /// <summary>The source for an element type.</summary>
    public static string Of(CudaElement element) => $"""
        // The kernels of decoders for {element.CudaType}.
        #define Element {element.CudaType}
        constexpr int Lanes = {Lanes(element)}, Threads = {Threads}, VectorsKept = {VectorsKept};


        """.Replace("\r\n", "\n") + BodyText.Value;
}
