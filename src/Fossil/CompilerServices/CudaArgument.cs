using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>An argument of a CUDA kernel: a pointer, or a number of 64 or 32 bits.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public readonly struct CudaArgument
{
    private CudaArgument(long bits, int size) => (Bits, Size) = (bits, size);

    /// <summary>The value; of a 32-bit number the lower half counts.</summary>
    internal long Bits { get; }

    /// <summary>Bytes.</summary>
    internal int Size { get; }

    /// <summary>A pointer.</summary>
    public static implicit operator CudaArgument(nint pointer) => new(pointer, sizeof(long));

    /// <summary>A number of 64 bits.</summary>
    public static implicit operator CudaArgument(long number) => new(number, sizeof(long));

    /// <summary>A number of 32 bits.</summary>
    public static implicit operator CudaArgument(int number) => new(number, sizeof(int));

    /// <summary>A float32.</summary>
    public static implicit operator CudaArgument(float number) => new(BitConverter.SingleToInt32Bits(number), sizeof(float));

    /// <summary>A 32-bit number, 1 for true.</summary>
    public static implicit operator CudaArgument(bool flag) => flag ? 1 : 0;
}
