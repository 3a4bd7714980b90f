using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// The pieces of <see cref="AttentionBackward{T}"/> over bfloat16 with products by <see cref="BFloat16Blocks"/>. As libtorch's backward pass on the CPU it rounds the probabilities and the gradients of
/// the scores to bfloat16. Gradients of keys and values are summed transposed, dVᵀ = dOᵀ P and dKᵀ = Qᵀ dS: then what is turned are queries and not scores, of which there are more.
/// The gradients of keys and values are whole where a piece is a whole group, and lie as keys and values do; where a group is cut into pieces, each piece has a row for its sums.
/// </summary>
internal readonly unsafe struct AttentionBackwardBlocks(AttentionOperands operands, KernelMatrix dy, KernelMatrix dq, KernelMatrix keyGradients, KernelMatrix valueGradients) : IRowKernel
{
    private const int RowsAtOnce = AttentionShape.RowsAtOnce;

    public void Run(long first, long end)
    {
        var (shape, blocks) = (operands.Shape, new AttentionBlocks(operands));
        var (scores, rows) = (RowsAtOnce * blocks.Stride, RowsAtOnce * shape.PaddedSize);
        // In floats; elements of bfloat16 are half of one.
        using var scratch = KernelScratch.Take((3 * scores) + (4 * rows) + (2 * shape.PaddedSize * blocks.Stride) + (3 * blocks.HeadCount / 2) + (RowsAtOnce * BFloat16Blocks.Width / 2));
        Run(first, end, blocks, scratch.Floats);
        BFloat16Blocks.Release();
    }

    public void DeclareWrites(long row, KernelWrites writes)
    {
        operands.DeclareHeads(writes, dq, row);
        foreach (var gradients in (KernelMatrix[])[keyGradients, valueGradients])
        {
            if (operands.Shape.Parts > 1) writes.Add(gradients, row);
            else operands.DeclareKeyValueHead(writes, gradients, row);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run(long firstPiece, long endPiece, in AttentionBlocks blocks, float* scores)
    {
        var shape = operands.Shape;
        var (stride, size, tokens) = (blocks.Stride, blocks.Size, (nint)shape.Tokens);
        var (scoreCount, rowCount) = (RowsAtOnce * stride, RowsAtOnce * shape.PaddedSize);
        var scoreGradients = scores + scoreCount;
        var queryGradients = scoreGradients + scoreCount;
        var keyColumnGradients = queryGradients + rowCount;
        var valueColumnGradients = keyColumnGradients + (shape.PaddedSize * stride);
        var probabilities = (ushort*)(valueColumnGradients + (shape.PaddedSize * stride));
        var differentials = probabilities + scoreCount;
        var keyColumns = differentials + scoreCount;
        var keys = keyColumns + blocks.HeadCount;
        var valueColumns = keys + blocks.HeadCount;
        var queries = valueColumns + blocks.HeadCount;
        var outputs = queries + rowCount;
        var queryColumns = outputs + rowCount;
        var outputColumns = queryColumns + rowCount;
        var pairs = outputColumns + rowCount;
        // As many elements as two blocks of rows have.
        var panel = pairs + (RowsAtOnce * BFloat16Blocks.Width);
        var means = stackalloc float[RowsAtOnce];
        for (var piece = firstPiece; piece < endPiece; piece++)
        {
            var (sequence, keyValueHead, firstHead) = shape.Piece(piece);
            blocks.Pair(operands.Keys, turned: true, sequence, keyValueHead, keyColumns, keys, panel);
            blocks.Pair(operands.Values, turned: false, sequence, keyValueHead, valueColumns, rows: null, panel);
            NativeMemory.Clear(keyColumnGradients, (nuint)(2 * shape.PaddedSize * stride) * sizeof(float));
            for (var head = firstHead; head < firstHead + shape.HeadsOfPiece; head++)
            {
                ref var normalizers = ref operands.Normalizers.Row<float>((sequence * shape.Heads) + head);
                for (nint start = 0; start < tokens; start += RowsAtOnce)
                {
                    var rows = Math.Min(RowsAtOnce, tokens - start);
                    var (from, columns) = (operands.FirstColumn(sequence, start, rows), AttentionBlocks.Columns(start + rows));
                    blocks.Read(operands.Queries, turned: true, sequence, head, start, RowsAtOnce, queries);
                    blocks.Read(dy, turned: false, sequence, head, start, RowsAtOnce, outputs);
                    blocks.MultiplyTransposed(queries, keyColumns, from, columns, scores);
                    blocks.MultiplyTransposed(outputs, valueColumns, from, columns, scoreGradients);
                    // One thing after the other for all rows: each row's is a chain of operations that wait for one another.
                    for (nint i = 0; i < rows; i++)
                    {
                        var row = (i * stride) + from;
                        means[i] = AttentionScores.Normalize(scores + row, operands.Scale, Unsafe.Add(ref normalizers, start + i), scoreGradients + row, operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from);
                    }

                    for (nint i = 0; i < rows; i++)
                    {
                        var row = (i * stride) + from;
                        AttentionScores.Differentiate(scores + row, scoreGradients + row, means[i], operands.FirstSeen(sequence, start + i) - from, start + i + 1 - from, columns - from, probabilities + row, differentials + row);
                    }

                    Transposition.Transpose(queries, size, RowsAtOnce, size, queryColumns, RowsAtOnce);
                    Transposition.Transpose(outputs, size, RowsAtOnce, size, outputColumns, RowsAtOnce);
                    Accumulate(outputColumns, probabilities, pairs, rows, from, columns, valueColumnGradients, stride);
                    Accumulate(queryColumns, differentials, pairs, rows, from, columns, keyColumnGradients, stride);
                    blocks.Multiply(differentials, keys, from, columns, queryGradients);
                    for (nint i = 0; i < rows; i++) operands.WriteTurnedBack<ushort>(queryGradients + (i * shape.PaddedSize), operands.Scale, dq, (sequence * tokens) + start + i, head);
                }
            }

            Finish(keyColumnGradients, stride, turned: true, operands.Scale, keyGradients, piece, queryGradients);
            Finish(valueColumnGradients, stride, turned: false, 1, valueGradients, piece, queryGradients);
        }
    }

    /// <summary>Writes a piece's scaled sums (head_dim, columns): to its row of <paramref name="gradients"/>, or where they are whole to the head that they are of.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Finish(float* sums, nint stride, bool turned, float scale, in KernelMatrix gradients, long piece, float* scratch)
    {
        var shape = operands.Shape;
        var (sequence, head, _) = shape.Piece(piece);
        for (nint token = 0; token < (nint)shape.Tokens; token += RowsAtOnce)
        {
            var rows = Math.Min(RowsAtOnce, (nint)shape.Tokens - token);
            if (shape.Parts > 1)
            {
                fixed (float* row = &gradients.Row<float>(piece)) Transposition.Transpose(sums + token, stride, (nint)shape.Size, rows, scale, row + (token * shape.PaddedSize), shape.PaddedSize);
                continue;
            }

            Transposition.Transpose(sums + token, stride, (nint)shape.Size, rows, scale, scratch, shape.PaddedSize);
            for (nint i = 0; i < rows; i++)
            {
                var row = (sequence * shape.Tokens) + token + i;
                if (turned) operands.WriteTurnedBack<ushort>(scratch + (i * shape.PaddedSize), 1, gradients, row, head);
                else operands.Write<ushort>(scratch + (i * shape.PaddedSize), 1, gradients, row, head);
            }
        }
    }

    /// <summary>sum (head_dim, columns) += L X for the columns from <paramref name="from"/> to <paramref name="end"/> of X (rows, columns), whose rows it pairs.</summary>
    private void Accumulate(ushort* left, ushort* x, ushort* pairs, nint rows, nint from, nint end, float* sum, nint stride)
    {
        for (var column = from; column < end; column += BFloat16Blocks.Width)
        {
            var columns = Math.Min(BFloat16Blocks.Width, end - column);
            BFloat16Blocks.PairRows(x + column, stride, rows, columns, pairs);
            if (rows < RowsAtOnce) NativeMemory.Clear(pairs + ((rows + 1) / 2 * 2 * BFloat16Blocks.Width), (nuint)((RowsAtOnce - rows) / 2 * 2 * BFloat16Blocks.Width) * sizeof(ushort));
            BFloat16Blocks.Multiply((nint)operands.Shape.Size, columns, RowsAtOnce, left, RowsAtOnce, pairs, sum + column, stride, accumulate: true);
        }
    }
}
