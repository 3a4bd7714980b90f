using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// The backward pass of <see cref="IAttention"/>: with the probabilities P made again, dV = Pᵀ dO, dP = dO Vᵀ, dS = P (dP − Σ P dP), dQ = dS K and
/// dK = dSᵀ Q. Its "rows" are pieces of work (<see cref="AttentionShape.Piece"/>); the gradients of keys and values of the pieces are summed afterwards.
/// </summary>
internal readonly unsafe struct AttentionBackward<T> : IRowKernel where T : unmanaged
{
    private readonly AttentionOperands operands;
    private readonly KernelMatrix dy, dq, keyGradients, valueGradients;

    private AttentionBackward(AttentionOperands operands, KernelMatrix dy, KernelMatrix dq, KernelMatrix keyGradients, KernelMatrix valueGradients) =>
        (this.operands, this.dy, this.dq, this.keyGradients, this.valueGradients) = (operands, dy, dq, keyGradients, valueGradients);

    /// <summary>Fills the gradients of queries, keys and values, <paramref name="inBlocks"/> with products of <see cref="BFloat16Blocks"/>.</summary>
    public static void Run(AttentionOperands operands, bool inBlocks, KernelMatrix dy, KernelMatrix dq, KernelMatrix dk, KernelMatrix dv)
    {
        var shape = operands.Shape;
        var (pieces, elementsOfPiece) = (shape.Batch * shape.KeyValueHeads * shape.Parts, shape.HeadsOfPiece * shape.Tokens * shape.Tokens * shape.Size);
        if (inBlocks && shape.Parts == 1)
        {
            KernelRows.Run(pieces, elementsOfPiece, new AttentionBackwardBlocks(operands, dy, dq, dk, dv));
            return;
        }

        using var keyGradients = empty(pieces, shape.Tokens * shape.PaddedSize);
        using var valueGradients = empty(pieces, shape.Tokens * shape.PaddedSize);
        var (ofKeys, ofValues) = (KernelMatrix.Of(keyGradients), KernelMatrix.Of(valueGradients));
        if (inBlocks) KernelRows.Run(pieces, elementsOfPiece, new AttentionBackwardBlocks(operands, dy, dq, ofKeys, ofValues));
        else KernelRows.Run(pieces, elementsOfPiece, new AttentionBackward<T>(operands, dy, dq, ofKeys, ofValues));
        KernelRows.Run(shape.Batch * shape.Tokens, shape.KeyValueHeads * shape.Size, new SumKernel(operands, ofKeys, ofValues, dk, dv));
    }

    public void Run(long first, long end)
    {
        var (tokens, size) = (operands.Shape.PaddedTokens, operands.Shape.PaddedSize);
        using var scratch = KernelScratch.Take((3 * tokens * size) + (AttentionShape.RowsAtOnce * ((3 * size) + (2 * tokens))));
        Run(first, end, scratch.Floats);
    }

    public void DeclareWrites(long row, KernelWrites writes)
    {
        operands.DeclareHeads(writes, dq, row);
        writes.Add(keyGradients, row);
        writes.Add(valueGradients, row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run(long firstPiece, long endPiece, float* keys)
    {
        var shape = operands.Shape;
        var (tokens, size) = (shape.PaddedTokens, shape.PaddedSize);
        var (whole, block) = (tokens * size, AttentionShape.RowsAtOnce * size);
        var keyColumns = keys + whole;
        var valueColumns = keyColumns + whole;
        var queries = valueColumns + whole;
        var outputs = queries + block;
        var queryGradients = outputs + block;
        var scores = queryGradients + block;
        var scoreGradients = scores + (AttentionShape.RowsAtOnce * tokens);
        NativeMemory.Clear(keys, (nuint)((3 * whole) + (3 * block)) * sizeof(float));
        for (var piece = firstPiece; piece < endPiece; piece++)
        {
            var (sequence, keyValueHead, firstHead) = shape.Piece(piece);
            var firstRow = sequence * shape.Tokens;
            for (nint token = 0; token < (nint)shape.Tokens; token++)
            {
                operands.ReadTurned<T, float>(operands.Keys, firstRow + token, keyValueHead, 1, keys + (token * size));
                operands.Read<T, float>(operands.Values, firstRow + token, keyValueHead, outputs);
                for (nint i = 0; i < (nint)shape.Size; i++)
                {
                    keyColumns[(i * tokens) + token] = keys[(token * size) + i];
                    valueColumns[(i * tokens) + token] = outputs[i];
                }
            }

            fixed (float* keyGradient = &keyGradients.Row<float>(piece), valueGradient = &valueGradients.Row<float>(piece))
            {
                NativeMemory.Clear(keyGradient, (nuint)(shape.Tokens * size) * sizeof(float));
                NativeMemory.Clear(valueGradient, (nuint)(shape.Tokens * size) * sizeof(float));
                for (var head = firstHead; head < firstHead + shape.HeadsOfPiece; head++)
                {
                    ref var normalizers = ref operands.Normalizers.Row<float>((sequence * shape.Heads) + head);
                    for (nint start = 0; start < (nint)shape.Tokens; start += AttentionShape.RowsAtOnce)
                    {
                        var rows = Math.Min(AttentionShape.RowsAtOnce, (nint)shape.Tokens - start);
                        var columns = AttentionScores.Columns(start + rows);
                        for (nint i = 0; i < rows; i++)
                        {
                            operands.ReadTurned<T, float>(operands.Queries, firstRow + start + i, head, operands.Scale, queries + (i * size));
                            operands.Read<T, float>(dy, firstRow + start + i, head, outputs + (i * size));
                        }

                        var from = operands.FirstColumn(sequence, start, rows);
                        AttentionScores.Multiply(rows, (nint)shape.Size, queries, size, keyColumns + from, columns - from, tokens, scores + from);
                        AttentionScores.Multiply(rows, (nint)shape.Size, outputs, size, valueColumns + from, columns - from, tokens, scoreGradients + from);
                        for (nint i = 0; i < rows; i++)
                        {
                            var (seen, end) = (operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from);
                            float* row = scores + (i * tokens) + from, gradients = scoreGradients + (i * tokens) + from;
                            var mean = AttentionScores.Normalize(row, 1, Unsafe.Add(ref normalizers, start + i), gradients, seen, end);
                            AttentionScores.Differentiate(row, gradients, mean, seen, end, columns - from, row, gradients);
                        }

                        for (nint panel = 0; panel < size; panel += PanelProduct.Width)
                        {
                            PanelProduct.Multiply(start + rows - from, rows, scores + from, 1, tokens, outputs + panel, size, valueGradient + (from * size) + panel, size, accumulate: true);
                            PanelProduct.Multiply(start + rows - from, rows, scoreGradients + from, 1, tokens, queries + panel, size, keyGradient + (from * size) + panel, size, accumulate: true);
                        }

                        AttentionScores.Multiply(rows, start + rows - from, scoreGradients + from, tokens, keys + (from * size), size, size, queryGradients);
                        for (nint i = 0; i < rows; i++) operands.WriteTurnedBack<T>(queryGradients + (i * size), operands.Scale, dq, firstRow + start + i, head);
                    }
                }
            }
        }
    }

    /// <summary>Sums the pieces' gradients of keys and values, row by row, and turns those of the keys back.</summary>
    private readonly struct SumKernel(AttentionOperands operands, KernelMatrix keyGradients, KernelMatrix valueGradients, KernelMatrix dk, KernelMatrix dv) : IRowKernel
    {
        public void Run(long first, long end)
        {
            var shape = operands.Shape;
            for (var row = first; row < end; row++)
            {
                var (sequence, token) = Math.DivRem(row, shape.Tokens);
                for (long head = 0; head < shape.KeyValueHeads; head++)
                {
                    var piece = ((sequence * shape.KeyValueHeads) + head) * shape.Parts;
                    operands.WriteTurnedBack<T>(Sum(keyGradients, piece, token), 1, dk, row, head);
                    operands.Write<T>(Sum(valueGradients, piece, token), 1, dv, row, head);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(dk, row);
            writes.Add(dv, row);
            var shape = operands.Shape;
            var (sequence, token) = Math.DivRem(row, shape.Tokens);
            for (long head = 0; head < shape.KeyValueHeads; head++)
            {
                var piece = ((sequence * shape.KeyValueHeads) + head) * shape.Parts;
                writes.Add(keyGradients, piece, token * shape.PaddedSize, shape.Size);
                writes.Add(valueGradients, piece, token * shape.PaddedSize, shape.Size);
            }
        }

        /// <summary>The sum, which replaces the first piece's gradient.</summary>
        private float* Sum(in KernelMatrix gradients, long piece, long token)
        {
            var offset = (nint)token * operands.Shape.PaddedSize;
            fixed (float* sum = &Unsafe.Add(ref gradients.Row<float>(piece), offset))
            {
                for (var part = 1; part < operands.Shape.Parts; part++)
                {
                    ref var other = ref Unsafe.Add(ref gradients.Row<float>(piece + part), offset);
                    for (nint i = 0; i < (nint)operands.Shape.Size; i++) sum[i] += Unsafe.Add(ref other, i);
                }
                return sum;
            }
        }
    }
}
