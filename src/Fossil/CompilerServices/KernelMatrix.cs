using System.ComponentModel;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>The memory of a two-dimensional tensor, row by row. Valid while the tensor lives; generated kernels open it for one call.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public readonly unsafe struct KernelMatrix
{
    // The operands of the kernel that this thread runs: a generated one opens tensors that the registry has opened already.
    [ThreadStatic]
    private static KernelMatrix[]? ofLaunch;

    private readonly byte* address;
    private readonly long rowBytes;

    private KernelMatrix(Tensor tensor, long rows, long columns, long rowStride)
    {
        Tensor = tensor;
        address = (byte*)NativeTensor.Data(tensor);
        ElementType = tensor.dtype;
        ElementSize = ElementType switch { ScalarType.Float32 => sizeof(float), ScalarType.BFloat16 => sizeof(ushort), _ => (int)tensor.ElementSize };
        RowStride = rowStride;
        rowBytes = rowStride * ElementSize;
        Rows = rows;
        Columns = columns;
        RowsOverlap = rows > 1 && rowStride < columns;
    }

    /// <summary>The number of rows.</summary>
    public long Rows { get; }

    /// <summary>The number of columns.</summary>
    public long Columns { get; }

    /// <summary>The tensor; null where it cannot be described so.</summary>
    internal Tensor Tensor { get; }

    /// <summary>Where its device has the first element.</summary>
    internal nint Address => (nint)address;

    /// <summary>Elements from the start of a row to that of the next.</summary>
    internal long RowStride { get; }

    /// <summary>Bytes of an element.</summary>
    internal int ElementSize { get; }

    /// <summary>The dtype: float32 or bfloat16 in what <see cref="TryOpen"/> opened.</summary>
    public ScalarType ElementType { get; }

    /// <summary>Whether rows share memory, as in an expanded tensor: then it must not be written.</summary>
    public bool RowsOverlap { get; }

    /// <summary>
    /// Opens <paramref name="tensor"/> (rows, columns), float32 or bfloat16; false where it is not two-dimensional, not on the CPU, of another dtype,
    /// or where the elements of a row do not lie side by side.
    /// </summary>
    public static bool TryOpen(Tensor tensor, out KernelMatrix matrix)
    {
        matrix = tensor.dim() != 2 ? default : FindOpen(tensor) ?? (tensor.device_type == TorchSharp.DeviceType.CPU ? Of(tensor) : default);
        return matrix.ElementType is ScalarType.Float32 or ScalarType.BFloat16;
    }

    /// <summary>Lets kernels find what is open.</summary>
    /// <param name="operands">The operands of a launch on this thread, on the CPU; null when it is over.</param>
    internal static void SetLaunch(KernelMatrix[]? operands) => ofLaunch = operands;

    private static KernelMatrix? FindOpen(Tensor tensor)
    {
        if (ofLaunch is null) return null;
        foreach (var operand in ofLaunch)
        {
            if (ReferenceEquals(operand.Tensor, tensor)) return operand;
        }

        return null;
    }

    /// <summary>
    /// The memory of <paramref name="tensor"/> on whatever device: a matrix as it lies, others as rows of their last dimension. Where that cannot be described it has no rows and a dtype that no
    /// kernel takes.
    /// </summary>
    internal static KernelMatrix Of(Tensor tensor)
    {
        if (tensor.is_sparse) return default;
        var dimensions = tensor.dim();
        if (dimensions != 2) return Of(tensor, dimensions == 0 ? 1 : tensor.size((int)dimensions - 1));
        var columns = tensor.size(1);
        return columns > 1 && tensor.stride(1) != 1 ? default : new(tensor, tensor.size(0), columns, tensor.stride(0));
    }

    /// <summary>As <see cref="Of(Tensor)"/>, for a contiguous tensor as rows of <paramref name="columns"/> elements.</summary>
    internal static KernelMatrix Of(Tensor tensor, long columns) =>
        tensor.is_contiguous() ? new(tensor, columns == 0 ? 0 : tensor.numel() / columns, columns, columns) : default;

    /// <summary>Whether it is of this dtype and its elements lie without gaps.</summary>
    internal bool IsPlain(ScalarType elementType) => ElementType == elementType && (Rows <= 1 || RowStride == Columns);

    /// <summary>The first element of a row; the others follow it.</summary>
    /// <typeparam name="T"><see cref="float"/> for float32, <see cref="ushort"/> for bfloat16.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref T Row<T>(long row) where T : unmanaged => ref Unsafe.AsRef<T>(address + (row * rowBytes));
}
