using System.Runtime.CompilerServices;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// The forward pass of <see cref="AttentionForward{T}"/> over bfloat16 with products by <see cref="BFloat16Blocks"/>. It rounds nothing that the other does not: turned queries and keys and the
/// probabilities are bfloat16 there too.
/// </summary>
internal readonly unsafe struct AttentionForwardBlocks(AttentionOperands operands, KernelMatrix y) : IRowKernel
{
    public void Run(long first, long end)
    {
        var (shape, blocks) = (operands.Shape, new AttentionBlocks(operands));
        var (rows, size) = (AttentionShape.RowsAtOnce, shape.PaddedSize);
        // In floats; elements of bfloat16 are half of one.
        using var scratch = KernelScratch.Take(blocks.HeadCount + (BFloat16Blocks.Width / 2 * size) + (rows * size / 2) + (rows * blocks.Stride * 3 / 2) + (rows * size));
        Run(first, end, blocks, scratch.Floats);
        BFloat16Blocks.Release();
    }

    public void DeclareWrites(long row, KernelWrites writes)
    {
        operands.DeclareHeads(writes, y, row);
        operands.DeclareNormalizers(writes, row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run(long firstPiece, long endPiece, in AttentionBlocks blocks, float* scores)
    {
        var shape = operands.Shape;
        var stride = blocks.Stride;
        var outputs = scores + (AttentionShape.RowsAtOnce * stride);
        var probabilities = (ushort*)(outputs + (AttentionShape.RowsAtOnce * shape.PaddedSize));
        var keys = probabilities + (AttentionShape.RowsAtOnce * stride);
        var values = keys + blocks.HeadCount;
        var queries = values + blocks.HeadCount;
        var panel = queries + (AttentionShape.RowsAtOnce * shape.PaddedSize);
        float* largest = stackalloc float[AttentionShape.RowsAtOnce], sums = stackalloc float[AttentionShape.RowsAtOnce];
        for (var piece = firstPiece; piece < endPiece; piece++)
        {
            var (sequence, keyValueHead, firstHead) = shape.Piece(piece);
            blocks.Pair(operands.Keys, turned: true, sequence, keyValueHead, columns: keys, rows: null, panel);
            blocks.Pair(operands.Values, turned: false, sequence, keyValueHead, columns: null, rows: values, panel);
            for (var head = firstHead; head < firstHead + shape.HeadsOfPiece; head++)
            {
                ref var normalizers = ref operands.Normalizers.Row<float>((sequence * shape.Heads) + head);
                for (nint start = 0; start < (nint)shape.Tokens; start += AttentionShape.RowsAtOnce)
                {
                    var rows = Math.Min(AttentionShape.RowsAtOnce, (nint)shape.Tokens - start);
                    var (from, columns) = (operands.FirstColumn(sequence, start, rows), AttentionBlocks.Columns(start + rows));
                    blocks.Read(operands.Queries, turned: true, sequence, head, start, AttentionShape.RowsAtOnce, queries);
                    blocks.MultiplyTransposed(queries, keys, from, columns, scores);
                    // One thing after the other for all rows: each row's is a chain of operations that wait for one another.
                    for (nint i = 0; i < rows; i++) largest[i] = operands.Scale * AttentionScores.Largest(scores + (i * stride) + from, operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from);
                    for (nint i = 0; i < rows; i++)
                    {
                        var row = (i * stride) + from;
                        sums[i] = AttentionScores.Exponentiate<ushort, ushort>(scores + row, operands.Scale, largest[i], operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from, columns - from, probabilities + row);
                    }

                    for (nint i = 0; i < rows; i++) Unsafe.Add(ref normalizers, start + i) = largest[i] + MathF.Log(sums[i]);
                    blocks.Multiply(probabilities, values, from, columns, outputs);
                    for (nint i = 0; i < rows; i++) operands.Write<ushort>(outputs + (i * shape.PaddedSize), 1 / sums[i], y, (sequence * shape.Tokens) + start + i, head);
                }
            }
        }
    }
}
