using Fossil.CompilerServices;
using Fossil.Cuda.Native;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>
/// The dense products around shards on CUDA devices, by cuBLAS: factors of one type, sums in float32, and a result of the factors' type or float32, which is the accumulator where something is
/// added to it.
/// </summary>
internal sealed class CudaProducts(CudaRuntime runtime) : IShardProduct, ISumGradient, IShardGradient
{
    /// <summary>The oldest compute capability that multiplies bfloat16.</summary>
    private const int BFloat16Architecture = 80;

    /// <summary>Whether factors of this dtype are multiplied on this device.</summary>
    public bool Multiplies(in KernelMatrix factor) =>
        factor.ElementType is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 && DeviceOf(factor) is { } device && (factor.ElementType != ScalarType.BFloat16 || device.Architecture >= BFloat16Architecture) && runtime.Cublas is not null;

    public bool TryAdd(in KernelMatrix output, in KernelMatrix sum, in KernelMatrix shard) => TryAdd(output, sum, shard, beta: 1);

    /// <summary>As <see cref="IShardProduct.TryAdd"/>; with <paramref name="beta"/> = 0 y is written and not read.</summary>
    public bool TryAdd(in KernelMatrix output, in KernelMatrix sum, in KernelMatrix shard, float beta) => TryMultiply(sum, false, shard, false, output, beta, "y += S D");

    public bool TrySumGradient(in KernelMatrix gradOutput, in KernelMatrix sumGradient, in KernelMatrix shard) => TryMultiply(gradOutput, false, shard, true, sumGradient, 0, "dS = dy Dᵀ");

    public bool TryShardGradient(in KernelMatrix gradOutput, in KernelMatrix sum, in KernelMatrix shardGradient) => TryMultiply(sum, true, gradOutput, false, shardGradient, 0, "dD = Sᵀ dy");

    /// <summary>result = left right + beta · result, where <see cref="Multiplies"/> and <see cref="Counts"/> say that it can be.</summary>
    public void Multiply(in KernelMatrix left, bool isLeftTransposed, in KernelMatrix right, bool isRightTransposed, in KernelMatrix result, float beta, string name)
    {
        var inner = isLeftTransposed ? left.Rows : left.Columns;
        DeviceOf(result)!.Multiply(runtime.Cublas!, Matrix(left, isLeftTransposed), Matrix(right, isRightTransposed), Matrix(result, false), ((int)result.Rows, (int)result.Columns, (int)inner), beta, name);
    }

    private bool TryMultiply(in KernelMatrix left, bool isLeftTransposed, in KernelMatrix right, bool isRightTransposed, in KernelMatrix result, float beta, string name)
    {
        if (left.Tensor is null || right.Tensor is null || result.Tensor is null || result.RowsOverlap || left.ElementType != right.ElementType || (result.ElementType != left.ElementType && result.ElementType != ScalarType.Float32)) return false;
        var (rows, inner) = isLeftTransposed ? (left.Columns, left.Rows) : (left.Rows, left.Columns);
        var (other, columns) = isRightTransposed ? (right.Columns, right.Rows) : (right.Rows, right.Columns);
        if (inner != other || (result.Rows, result.Columns) != (rows, columns) || inner == 0) return false;
        if (!Counts(left) || !Counts(right) || !Counts(result)) return false;
        if (rows == 0 || columns == 0) return true;
        if (!Multiplies(left)) return false;
        Multiply(left, isLeftTransposed, right, isRightTransposed, result, beta, name);
        return true;
    }

    private CudaDevice? DeviceOf(in KernelMatrix matrix) => runtime.Device(Math.Max(0, matrix.Tensor.device_index));

    /// <summary>Whether cuBLAS's 32-bit numbers hold its sizes and stride; its elements may be more. Rows that overlap have no stride that cuBLAS takes.</summary>
    public static bool Counts(in KernelMatrix matrix) => matrix is { Rows: <= int.MaxValue, Columns: <= int.MaxValue, RowsOverlap: false } && Stride(matrix) <= int.MaxValue;

    private static CublasMatrix Matrix(in KernelMatrix matrix, bool isTransposed) => new(matrix.Address, matrix.ElementType, (int)Stride(matrix), isTransposed);

    /// <summary>A single row's stride is whatever libtorch left there; cuBLAS wants at least the columns.</summary>
    private static long Stride(in KernelMatrix matrix) => matrix.Rows == 1 ? Math.Max(1, matrix.Columns) : matrix.RowStride;
}
