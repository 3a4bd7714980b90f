using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>A matrix in the memory of a CUDA device, as generated launch stubs see it.</summary>
/// <param name="address">Its first element.</param>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns; the elements of a row lie side by side.</param>
/// <param name="rowStride">Elements from the start of a row to that of the next.</param>
/// <param name="elementSize">Bytes of an element.</param>
[EditorBrowsable(EditorBrowsableState.Never)]
public readonly struct CudaMatrix(nint address, long rows, long columns, long rowStride, int elementSize = sizeof(float))
{
    /// <summary>No matrix, where a kernel can do without.</summary>
    internal static readonly CudaMatrix None;

    // A tile of columns may reach behind the last one: its number must still fit.
    private const int LargestTile = 1024;

    /// <summary>Its first element; 0 for no matrix.</summary>
    public nint Address { get; init; } = address;

    /// <summary>Rows.</summary>
    public long Rows { get; init; } = rows;

    /// <summary>Columns; the elements of a row lie side by side.</summary>
    public long Columns { get; init; } = columns;

    /// <summary>Elements from the start of a row to that of the next.</summary>
    public long RowStride { get; init; } = rowStride;

    /// <summary>Bytes of an element.</summary>
    public int ElementSize { get; init; } = elementSize;

    /// <summary>Elements of a vector of 16 bytes.</summary>
    public int Lanes => 16 / ElementSize;

    /// <summary>An operand's memory.</summary>
    internal static CudaMatrix Of(in KernelMatrix matrix) => new(matrix.Address, matrix.Rows, matrix.Columns, matrix.RowStride, Math.Max(1, matrix.ElementSize));

    /// <summary>Whether kernels can count its columns with 32 bits; rows, strides and offsets have 64.</summary>
    public bool HasCountableColumns => Columns <= int.MaxValue - LargestTile;
}
