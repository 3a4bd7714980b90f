using System.ComponentModel;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>The memory of a two-dimensional tensor on the CPU, row by row. Valid while the tensor lives; generated kernels open it for one call.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public readonly unsafe struct KernelMatrix
{
    private readonly byte* address;
    private readonly long rowBytes;

    private KernelMatrix(byte* address, long rows, long columns, long rowStride, ScalarType elementType)
    {
        this.address = address;
        RowStride = rowStride;
        rowBytes = rowStride * SizeOf(elementType);
        Rows = rows;
        Columns = columns;
        ElementType = elementType;
        RowsOverlap = rows > 1 && rowStride < columns;
    }

    /// <summary>The number of rows.</summary>
    public long Rows { get; }

    /// <summary>The number of columns.</summary>
    public long Columns { get; }

    /// <summary>Elements from the start of a row to that of the next.</summary>
    internal long RowStride { get; }

    /// <summary>Bytes of an element.</summary>
    internal int ElementSize => SizeOf(ElementType);

    /// <summary>The dtype: float32 or bfloat16.</summary>
    public ScalarType ElementType { get; }

    /// <summary>Whether rows share memory, as in an expanded tensor: then it must not be written.</summary>
    public bool RowsOverlap { get; }

    /// <summary>
    /// Opens <paramref name="tensor"/> (rows, columns), float32 or bfloat16; false where it is not two-dimensional, not on the CPU, of another dtype,
    /// or where the elements of a row do not lie side by side.
    /// </summary>
    public static bool TryOpen(Tensor tensor, out KernelMatrix matrix)
    {
        matrix = default;
        var type = tensor.dtype;
        if (type is not (ScalarType.Float32 or ScalarType.BFloat16) || tensor.device_type != TorchSharp.DeviceType.CPU || tensor.is_sparse) return false;
        if (tensor.shape is not [var rows, var columns]) return false;
        var strides = tensor.stride();
        if (columns > 1 && strides[1] != 1) return false;
        matrix = new KernelMatrix((byte*)NativeTensor.Data(tensor), rows, columns, strides[0], type);
        return true;
    }

    /// <summary>The first element of a row; the others follow it.</summary>
    /// <typeparam name="T"><see cref="float"/> for float32, <see cref="ushort"/> for bfloat16.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref T Row<T>(long row) where T : unmanaged => ref Unsafe.AsRef<T>(address + (row * rowBytes));

    private static int SizeOf(ScalarType elementType) => elementType == ScalarType.Float32 ? sizeof(float) : sizeof(ushort);
}
