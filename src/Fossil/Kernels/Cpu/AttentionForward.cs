using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>The forward pass of <see cref="IAttention"/>. Its "rows" are pieces of work (<see cref="AttentionShape.Piece"/>).</summary>
internal readonly unsafe struct AttentionForward<T> : IRowKernel where T : unmanaged
{
    private readonly AttentionOperands operands;
    private readonly KernelMatrix y;

    private AttentionForward(AttentionOperands operands, KernelMatrix y) => (this.operands, this.y) = (operands, y);

    /// <summary>Fills <paramref name="y"/> and the normalizers, <paramref name="inBlocks"/> with products of <see cref="BFloat16Blocks"/>.</summary>
    public static void Run(AttentionOperands operands, bool inBlocks, KernelMatrix y)
    {
        var shape = operands.Shape;
        var (pieces, elementsOfPiece) = (shape.Batch * shape.KeyValueHeads * shape.Parts, shape.HeadsOfPiece * shape.Tokens * shape.Tokens * shape.Size);
        if (inBlocks) KernelRows.Run(pieces, elementsOfPiece, new AttentionForwardBlocks(operands, y));
        else KernelRows.Run(pieces, elementsOfPiece, new AttentionForward<T>(operands, y));
    }

    public void Run(long first, long end)
    {
        var (tokens, size) = (operands.Shape.PaddedTokens, operands.Shape.PaddedSize);
        using var scratch = KernelScratch.Take((2 * tokens * size) + (AttentionShape.RowsAtOnce * (tokens + (2 * size))));
        Run(first, end, scratch.Floats);
    }

    public void DeclareWrites(long row, KernelWrites writes)
    {
        operands.DeclareHeads(writes, y, row);
        operands.DeclareNormalizers(writes, row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run(long firstPiece, long endPiece, float* keys)
    {
        var shape = operands.Shape;
        var (tokens, size) = (shape.PaddedTokens, shape.PaddedSize);
        var values = keys + (tokens * size);
        var queries = values + (tokens * size);
        var outputs = queries + (AttentionShape.RowsAtOnce * size);
        var scores = outputs + (AttentionShape.RowsAtOnce * size);
        NativeMemory.Clear(keys, (nuint)((2 * tokens * size) + (2 * AttentionShape.RowsAtOnce * size)) * sizeof(float));
        var sums = stackalloc float[AttentionShape.RowsAtOnce];
        for (var piece = firstPiece; piece < endPiece; piece++)
        {
            var (sequence, keyValueHead, firstHead) = shape.Piece(piece);
            var firstRow = sequence * shape.Tokens;
            for (nint token = 0; token < (nint)shape.Tokens; token++)
            {
                operands.ReadTurned<T, float>(operands.Keys, firstRow + token, keyValueHead, 1, queries);
                for (nint i = 0; i < (nint)shape.Size; i++) keys[(i * tokens) + token] = queries[i];
                operands.Read<T, float>(operands.Values, firstRow + token, keyValueHead, values + (token * size));
            }

            for (var head = firstHead; head < firstHead + shape.HeadsOfPiece; head++)
            {
                ref var normalizers = ref operands.Normalizers.Row<float>((sequence * shape.Heads) + head);
                for (nint start = 0; start < (nint)shape.Tokens; start += AttentionShape.RowsAtOnce)
                {
                    var rows = Math.Min(AttentionShape.RowsAtOnce, (nint)shape.Tokens - start);
                    var columns = AttentionScores.Columns(start + rows);
                    for (nint i = 0; i < rows; i++) operands.ReadTurned<T, float>(operands.Queries, firstRow + start + i, head, operands.Scale, queries + (i * size));
                    var from = operands.FirstColumn(sequence, start, rows);
                    AttentionScores.Multiply(rows, (nint)shape.Size, queries, size, keys + from, columns - from, tokens, scores + from);
                    for (nint i = 0; i < rows; i++)
                    {
                        var (first, end) = (operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from);
                        var row = scores + (i * tokens) + from;
                        var largest = AttentionScores.Largest(row, first, end);
                        sums[i] = AttentionScores.Exponentiate<T, float>(row, 1, largest, first, end, columns - from, row);
                        Unsafe.Add(ref normalizers, start + i) = largest + MathF.Log(sums[i]);
                    }

                    AttentionScores.Multiply(rows, start + rows - from, scores + from, tokens, values + (from * size), size, size, outputs);
                    for (nint i = 0; i < rows; i++) operands.Write<T>(outputs + (i * size), 1 / sums[i], y, firstRow + start + i, head);
                }
            }
        }
    }
}
