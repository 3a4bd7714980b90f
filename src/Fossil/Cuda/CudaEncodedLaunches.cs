using Fossil.CompilerServices;

namespace Fossil.Cuda;

/// <summary>A weight in the memory of a device, as the launch stubs see it.</summary>
/// <param name="Codes">Its bytes.</param>
/// <param name="RowBytes">Bytes of a row.</param>
/// <param name="HeadRows">Of each so many rows the halves lie interleaved; 0 for none.</param>
/// <param name="Scales">Scales that lie elsewhere; 0 for none.</param>
/// <param name="BlockRows">Rows of a block that has one of these.</param>
/// <param name="ScaleColumns">Scales of a row.</param>
/// <param name="BlockColumns">Columns of a block.</param>
internal readonly record struct CudaEncoded(nint Codes, long RowBytes, long HeadRows, nint Scales = 0, long BlockRows = 1, int ScaleColumns = 0, int BlockColumns = 1);

/// <summary>The launch stubs of the kernels for weights that are held as blocks or codes; they touch neither tensors nor the device.</summary>
internal static class CudaEncodedLaunches
{
    /// <summary>Rows of x up to which blocks are multiplied without being written out.</summary>
    public const int MostRows = 8;

    private const int Warp = 32, Eight = 8;

    /// <summary>Rows of a weight, written out.</summary>
    /// <param name="weight">W.</param>
    /// <param name="values">(rows, columns); written. Rows begin at multiples of 16 bytes, and have a multiple of eight columns.</param>
    /// <param name="numbers">The rows' numbers, int64; 0 for those from <paramref name="first"/> on.</param>
    /// <param name="first">The first row and column.</param>
    public static CudaLaunch Write(in CudaEncoded weight, in CudaMatrix values, nint numbers, (long Row, long Column) first)
    {
        var threads = Warp;
        while (threads < CudaEncodedSource.Threads && threads * Eight < values.Columns) threads *= 2;
        var rowsOfBlock = CudaEncodedSource.Threads / threads;
        return new(
            "write_rows", ((uint)CudaGrid.Blocks(values.Rows, rowsOfBlock), 1), ((uint)threads, (uint)rowsOfBlock),
            [.. Arguments(weight), numbers, first.Row, (int)first.Column, values.Address, values.RowStride, values.Rows, (int)values.Columns]);
    }

    /// <summary>y = x Wᵀ, for up to <see cref="MostRows"/> rows of x.</summary>
    /// <param name="weight">W.</param>
    /// <param name="x">(rows, in); rows begin at multiples of 16 bytes.</param>
    /// <param name="y">(rows, out).</param>
    /// <param name="adds">Whether the product is added to y.</param>
    public static CudaLaunch Multiply(in CudaEncoded weight, in CudaMatrix x, in CudaMatrix y, bool adds)
    {
        const int Warps = CudaEncodedSource.Threads / Warp;
        return new(
            x.Rows == 1 ? "multiply_single_row" : "multiply_few_rows", ((uint)CudaGrid.Blocks(y.Columns, Warps * CudaEncodedSource.RowsOfWarp), 1), (Warp, Warps),
            [.. Arguments(weight), x.Address, x.RowStride, (int)x.Rows, y.Address, y.RowStride, y.Columns, (int)x.Columns, adds]);
    }

    /// <summary>Whether eight neighbours of each row are loaded and stored as vectors.</summary>
    public static bool HasVectors(in CudaMatrix matrix) => matrix.Address % 16 == 0 && (matrix.Rows <= 1 || matrix.RowStride % (16 / matrix.ElementSize) == 0) && matrix.Columns % Eight == 0;

    private static CudaArgument[] Arguments(in CudaEncoded weight) => [weight.Codes, weight.RowBytes, weight.Scales, weight.BlockRows, weight.ScaleColumns, weight.BlockColumns, weight.HeadRows];
}
