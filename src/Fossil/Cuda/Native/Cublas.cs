using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Fossil.Cuda.Native;

/// <summary>A factor or the result of a product, row by row in the memory of a device.</summary>
/// <param name="Address">Its first element.</param>
/// <param name="ElementType">float32, bfloat16 or float16.</param>
/// <param name="RowStride">Elements from the start of a row to that of the next.</param>
/// <param name="IsTransposed">Whether the factor is what lies there transposed.</param>
internal readonly record struct CublasMatrix(nint Address, ScalarType ElementType, int RowStride, bool IsTransposed = false);

/// <summary>
/// cuBLAS's products of dense matrices, on the legacy default stream. A handle serves one thread at a time: each device has as many as threads ever multiplied on it at once, so threads that end
/// leave none behind.
/// </summary>
internal sealed unsafe class Cublas
{
    /// <summary>The legacy default stream: TorchSharp works on no other.</summary>
    private const nint DefaultStream = 0;

    /// <summary><c>CUBLAS_OP_N</c>, <c>CUBLAS_OP_T</c>, <c>CUBLAS_COMPUTE_32F</c>, which allows no TF32, and <c>CUBLAS_GEMM_DEFAULT</c>.</summary>
    private const int AsItLies = 0, Transposed = 1, SumsInFloat32 = 68, DefaultAlgorithm = -1;

    private readonly nint library;
    private readonly delegate* unmanaged<nint, int, int, int, int, int, void*, void*, int, int, void*, int, int, void*, void*, int, int, int, int, int> multiply;
    private readonly delegate* unmanaged<int, byte*> statusName;
    private readonly ConcurrentDictionary<nint, ConcurrentBag<nint>> handles = [];

    /// <summary>Takes the functions of a library.</summary>
    /// <param name="library">Its handle.</param>
    /// <exception cref="CudaException">It lacks one of them.</exception>
    public Cublas(nint library)
    {
        this.library = library;
        multiply = (delegate* unmanaged<nint, int, int, int, int, int, void*, void*, int, int, void*, int, int, void*, void*, int, int, int, int, int>)Export("cublasGemmEx");
        statusName = (delegate* unmanaged<int, byte*>)Export("cublasGetStatusName");
    }

    /// <summary>C (rows, columns) = L (rows, inner) R (inner, columns) + beta · C, summed in float32. The context is the current one.</summary>
    /// <param name="context">The current context, whose handles these are.</param>
    /// <param name="left">L.</param>
    /// <param name="right">R, of L's element type.</param>
    /// <param name="result">C, of that type or float32.</param>
    /// <param name="rows">As said.</param>
    /// <param name="columns">As said.</param>
    /// <param name="inner">As said.</param>
    /// <param name="beta">0: C is written, whatever it held; 1: it is the accumulator.</param>
    /// <param name="name">What the product is, for messages.</param>
    /// <exception cref="CudaException">cuBLAS refuses it.</exception>
    public void Multiply(nint context, CublasMatrix left, CublasMatrix right, CublasMatrix result, int rows, int columns, int inner, float beta, string name)
    {
        var free = handles.GetOrAdd(context, static _ => []);
        if (!free.TryTake(out var handle)) handle = Create(name);
        try
        {
            // cuBLAS reads matrices column by column; what lies row by row is to it the transposed one: Cᵀ = Rᵀ Lᵀ.
            var one = 1f;
            Check(
                multiply(
                    handle, right.IsTransposed ? Transposed : AsItLies, left.IsTransposed ? Transposed : AsItLies, columns, rows, inner, &one, (void*)right.Address, TypeOf(right), right.RowStride,
                    (void*)left.Address, TypeOf(left), left.RowStride, &beta, (void*)result.Address, TypeOf(result), result.RowStride, SumsInFloat32, DefaultAlgorithm),
                "cublasGemmEx", name);
        }
        finally
        {
            free.Add(handle);
        }
    }

    /// <summary><c>cudaDataType</c>.</summary>
    private static int TypeOf(in CublasMatrix matrix) => matrix.ElementType switch
    {
        ScalarType.Float32 => 0,
        ScalarType.Float16 => 2,
        ScalarType.BFloat16 => 14,
        _ => throw new ArgumentOutOfRangeException(nameof(matrix), matrix.ElementType, "cuBLAS multiplies float32, bfloat16 and float16."),
    };

    private nint Create(string name)
    {
        nint handle;
        Check(((delegate* unmanaged<nint*, int>)Export("cublasCreate_v2"))(&handle), "cublasCreate", name);
        Check(((delegate* unmanaged<nint, nint, int>)Export("cublasSetStream_v2"))(handle, DefaultStream), "cublasSetStream", name);
        return handle;
    }

    private void Check(int status, string function, string name)
    {
        if (status != 0) throw new CudaException($"{name}: cuBLAS's {function} failed: {Marshal.PtrToStringUTF8((nint)statusName(status))}.");
    }

    private nint Export(string function) => NativeLibrary.TryGetExport(library, function, out var address)
        ? address
        : throw new CudaException($"The library that was found as cuBLAS has no function {function}: it is too old (CUDA 11.5 is the oldest), or another library. Name the right file in {CudaLibrary.Cublas.Variable}.");
}
