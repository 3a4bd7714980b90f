using Fossil.CompilerServices;

namespace Fossil.Cuda;

/// <summary>One launch of a kernel: all that the driver needs.</summary>
/// <param name="Kernel">The kernel's name in its source.</param>
/// <param name="Grid">Blocks.</param>
/// <param name="Block">Threads of a block.</param>
/// <param name="Arguments">The kernel's arguments, in its order.</param>
internal sealed record CudaLaunch(string Kernel, (uint X, uint Y) Grid, (uint X, uint Y) Block, params CudaArgument[] Arguments);

/// <summary>An argument of a kernel: a pointer, or a number of 64 or 32 bits.</summary>
/// <param name="Bits">The value; of a 32-bit number the lower half counts.</param>
/// <param name="Size">Bytes.</param>
internal readonly record struct CudaArgument(long Bits, int Size)
{
    public static implicit operator CudaArgument(nint pointer) => new(pointer, sizeof(long));

    public static implicit operator CudaArgument(long number) => new(number, sizeof(long));

    public static implicit operator CudaArgument(int number) => new(number, sizeof(int));

    public static implicit operator CudaArgument(float number) => new(BitConverter.SingleToInt32Bits(number), sizeof(float));
}

/// <summary>A matrix in the memory of a device.</summary>
/// <param name="Address">Its first element.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns; the elements of a row lie side by side.</param>
/// <param name="RowStride">Elements from the start of a row to that of the next.</param>
internal readonly record struct CudaMatrix(nint Address, long Rows, long Columns, long RowStride)
{
    /// <summary>No matrix, where a kernel can do without.</summary>
    public static readonly CudaMatrix None;

    /// <summary>An operand's memory.</summary>
    public static CudaMatrix Of(in KernelMatrix matrix) => new(matrix.Address, matrix.Rows, matrix.Columns, matrix.RowStride);
}
