using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// Blocks of an attention over bfloat16 as <see cref="BFloat16Blocks"/> multiplies them: of <see cref="AttentionShape.RowsAtOnce"/> queries, whose rows behind the last token are there but mean
/// nothing, and of the columns that any of them sees, in whole <see cref="Step"/>s. There are few sizes of them, for libtorch compiles each.
/// </summary>
internal readonly unsafe struct AttentionBlocks(AttentionOperands operands)
{
    /// <summary>Columns are a multiple of it.</summary>
    private const int Step = AttentionShape.RowsAtOnce;

    private const int Panel = BFloat16Blocks.Width;

    // Columns of scores that are multiplied at a time.
    private const int MostDepth = 128;

    private readonly AttentionOperands operands = operands;

    /// <summary>head_dim.</summary>
    public nint Size => (nint)operands.Shape.Size;

    /// <summary>Elements from row to row of a block of scores; rows that are a power of two apart would lie in the same few lines of the cache.</summary>
    public nint Stride => operands.Shape.PaddedTokens + Step;

    /// <summary>Elements of the pairs of a head of keys or values.</summary>
    public nint HeadCount => operands.Shape.PaddedTokens * operands.Shape.PaddedSize;

    /// <summary>Columns that the rows up to <paramref name="end"/> may see.</summary>
    public static nint Columns(nint end) => (end + Step - 1) / Step * Step;

    /// <summary>Reads up to <paramref name="rows"/> rows of a head, turned or as they are; those that are missing are zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Read(in KernelMatrix source, bool turned, long sequence, long head, nint first, nint rows, ushort* target)
    {
        var count = Math.Min(rows, (nint)operands.Shape.Tokens - first);
        var row = (sequence * operands.Shape.Tokens) + first;
        for (nint i = 0; i < count; i++)
        {
            // Heads of one row after the other are too far apart for the processor to see what comes next.
            operands.Prefetch<ushort>(source, row + i + rows, head);
            if (turned) operands.ReadTurned<ushort, ushort>(source, row + i, head, 1, target + (i * Size));
            else operands.Read<ushort, ushort>(source, row + i, head, target + (i * Size));
        }

        if (count < rows) NativeMemory.Clear(target + (count * Size), (nuint)((rows - count) * Size) * sizeof(ushort));
    }

    /// <summary>Pairs a head of keys or values for products with its transpose (<paramref name="columns"/>) and with itself (<paramref name="rows"/>), either of which may be null; <paramref name="scratch"/> is for a panel of it.</summary>
    public void Pair(in KernelMatrix source, bool turned, long sequence, long head, ushort* columns, ushort* rows, ushort* scratch)
    {
        for (nint token = 0; token < (nint)operands.Shape.Tokens; token += Panel)
        {
            Read(source, turned, sequence, head, token, Panel, scratch);
            if (columns != null) BFloat16Blocks.PairColumns(scratch, Size, Size, Panel, columns + (token * Size));
            if (rows == null) continue;
            for (nint i = 0; i < Size; i += Panel) BFloat16Blocks.PairRows(scratch + i, Size, Panel, Math.Min(Panel, Size - i), rows + (i * operands.Shape.PaddedTokens) + (token * Panel));
        }
    }

    /// <summary>product = L Xᵀ for the columns from <paramref name="from"/> to <paramref name="end"/>, X a head whose columns are paired.</summary>
    public void MultiplyTransposed(ushort* left, ushort* columns, nint from, nint end, float* product)
    {
        for (var column = from; column < end; column += Panel)
        {
            BFloat16Blocks.Multiply(Step, Math.Min(Panel, end - column), Size, left, Size, columns + (column * Size), product + column, Stride, accumulate: false);
        }
    }

    /// <summary>product (rows, padded head_dim) = L X, L's columns those from <paramref name="from"/> to <paramref name="end"/>, X a head whose rows are paired.</summary>
    public void Multiply(ushort* left, ushort* rows, nint from, nint end, float* product)
    {
        for (nint i = 0; i < Size; i += Panel, rows += Panel * operands.Shape.PaddedTokens)
        {
            for (var column = from; column < end; column += MostDepth)
            {
                BFloat16Blocks.Multiply(Step, Math.Min(Panel, Size - i), Math.Min(MostDepth, end - column), left + column, Stride, rows + (column * Panel), product + i, operands.Shape.PaddedSize, accumulate: column > from);
            }
        }
    }
}
