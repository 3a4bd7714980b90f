namespace Fossil.Cuda;

/// <summary>An element type of the CUDA kernels.</summary>
/// <param name="Name">The name in TorchSharp's <c>ScalarType</c>.</param>
/// <param name="CudaType">The type in the CUDA source.</param>
/// <param name="Size">Bytes of an element.</param>
internal sealed record CudaElement(string Name, string CudaType, int Size)
{
    /// <summary>Whether tensor cores multiply it with sums in float32 and nothing lost.</summary>
    public bool HasTensorCores => Size == 2;

    /// <summary>The types that kernels are made for.</summary>
    public static readonly CudaElement[] All = [new("Float32", "float", 4), new("BFloat16", "bfloat16", 2), new("Float16", "float16", 2)];

    /// <summary>That of a dtype; null for another.</summary>
    public static CudaElement? Find(object scalarType) => Array.Find(All, element => element.Name == scalarType.ToString());
}
