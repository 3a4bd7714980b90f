using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// <see cref="IRoundedProduct"/> of bfloat16 by <see cref="BFloat16Blocks"/>: a thread pairs 64 columns of the right factors and multiplies rows with them, a block at a time, which it rounds while it
/// lies in the first cache. Sums go up along the depth of one product after the other, whatever the blocks are.
/// </summary>
internal sealed class RoundedProduct : IRoundedProduct
{
    private const int Panel = BFloat16Blocks.Width;

    // Rows whose sums, 16 KB, are in the first cache until they are rounded.
    private const int BlockRows = 64;

    // libtorch compiles a kernel for each number of rows, and keeps it: the last ones go with some of those before them.
    private const int RowsStep = 16;

    // Depth of all products together whose pairs, 512 KB, are in the second cache.
    private const int MostDepth = 4096;

    public bool TrySum(in KernelMatrix output, ReadOnlySpan<KernelMatrix> factors, ReadOnlySpan<bool> isTransposed, in KernelMatrix tile, float scale = 1)
    {
        if (output.ElementType is not (ScalarType.BFloat16 or ScalarType.Float32) || output.RowsOverlap || output.Rows == 0 || output.Columns == 0 || output.Columns % Lanes.Count != 0) return false;
        if (tile.Rows != 0 && (tile.ElementType != ScalarType.Float32 || tile.Rows != output.Rows || tile.Columns % Lanes.Count != 0)) return false;
        var terms = new Term[isTransposed.Length];
        var depth = 0L;
        for (var i = 0; i < terms.Length; i++)
        {
            terms[i] = new(factors[2 * i], factors[(2 * i) + 1], isTransposed[i], depth);
            if (!terms[i].Fits(output)) return false;
            depth += terms[i].Depth;
        }

        if (depth is 0 or > MostDepth) return false;
        var kernel = new Kernel(output, terms, tile, scale, (nint)depth);
        KernelRows.Run(kernel.Shares, kernel.ElementsOfShare, kernel);
        return true;
    }

    /// <summary>A product.</summary>
    /// <param name="Left">L (rows, depth).</param>
    /// <param name="Right">R (depth, columns), or its transpose; rows that R has too few are zeros.</param>
    /// <param name="IsTransposed">Which of them.</param>
    /// <param name="Start">Where the pairs of R are behind those of other products, in rows of R.</param>
    private readonly record struct Term(KernelMatrix Left, KernelMatrix Right, bool IsTransposed, long Start)
    {
        public long Depth => Left.Columns;

        public long Columns => IsTransposed ? Right.Rows : Right.Columns;

        public bool Fits(in KernelMatrix output) =>
            Left.ElementType == ScalarType.BFloat16 && Right.ElementType is ScalarType.BFloat16 or ScalarType.Float32
            && Left.Rows == output.Rows && Depth > 0 && (IsTransposed ? Depth == Right.Columns && Depth % 8 == 0 : Depth >= Right.Rows && Depth % 2 == 0)
            && (Columns == output.Columns || (Columns > 0 && Columns % Panel == 0 && output.Columns % Columns == 0));

        /// <summary>Pairs some of its columns.</summary>
        public unsafe void Pair(nint column, nint columns, ushort* pairs)
        {
            column %= (nint)Columns;
            pairs += (nint)Start * Panel;
            if (Right.ElementType == ScalarType.Float32) Pair<float>(column, columns, pairs);
            else Pair<ushort>(column, columns, pairs);
        }

        /// <summary>Has the memory of some of its columns, a part of it, on the way to the second cache while others are multiplied.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public unsafe void Prefetch(nint column, nint columns, nint part, nint parts)
        {
            const int LineBytes = 64;
            column %= (nint)Columns;
            var size = Right.ElementSize;
            var (rows, width) = IsTransposed ? (columns, (nint)Depth) : ((nint)Right.Rows, columns);
            for (var row = part * rows / parts; row < (part + 1) * rows / parts; row++)
            {
                var line = Right.Address + (((IsTransposed ? column + row : row) * (nint)Right.RowStride) + (IsTransposed ? 0 : column)) * size;
                for (nint offset = 0; offset < width * size; offset += LineBytes) Sse.Prefetch1((void*)(line + offset));
            }
        }

        private unsafe void Pair<T>(nint column, nint columns, ushort* pairs) where T : unmanaged
        {
            var stride = (nint)Right.RowStride;
            fixed (T* rows = &Right.Row<T>(IsTransposed ? column : 0))
            {
                if (IsTransposed)
                {
                    BFloat16Blocks.PairColumns(rows, stride, (nint)Depth, columns, pairs);
                    return;
                }

                BFloat16Blocks.PairRows(rows + column, stride, (nint)Right.Rows, columns, pairs);
            }

            var paired = (nint)(Right.Rows + (Right.Rows & 1));
            NativeMemory.Clear(pairs + (paired * Panel), (nuint)((nint)Depth - paired) * Panel * sizeof(ushort));
        }
    }

    /// <summary>Its "rows" are shares of the blocks of all panels, a few for each thread: equal ones, in each of which a panel's blocks follow each other, so that it is paired once.</summary>
    private readonly unsafe struct Kernel(KernelMatrix y, Term[] terms, KernelMatrix tile, float scale, nint depth) : IRowKernel
    {
        private const int SharesOfThread = 2;

        private readonly nint blocks = (nint)((y.Rows + BlockRows - 1) / BlockRows);

        public long Shares => Math.Min(Blocks, SharesOfThread * Environment.ProcessorCount);

        /// <summary>In elements that are read, written or multiplied sixty-four times.</summary>
        public long ElementsOfShare => Blocks / Shares * BlockRows * depth;

        private long Blocks => (y.Columns + Panel - 1) / Panel * blocks;

        public void Run(long first, long end)
        {
            using var scratch = KernelScratch.Take((depth * Panel / 2) + (BlockRows * Panel));
            for (var share = first; share < end; share++) Run((nint)Start(share), (nint)Start(share + 1), (ushort*)scratch.Floats, scratch.Floats + (depth * Panel / 2));
            BFloat16Blocks.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            for (var block = (nint)Start(row); block < (nint)Start(row + 1); block++)
            {
                var (column, columns, start, count) = Place(block);
                for (var i = start; i < start + count; i++) writes.Add(y, i, column, columns);
            }
        }

        private long Start(long share) => share * Blocks / Shares;

        private (nint Column, nint Columns, nint Row, nint Rows) Place(nint block)
        {
            var (column, row) = (block / blocks * Panel, block % blocks * BlockRows);
            return (column, (nint)Math.Min(Panel, y.Columns - column), row, (nint)Math.Min(BlockRows, y.Rows - row));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Run(nint firstBlock, nint endBlock, ushort* pairs, float* sums)
        {
            nint paired = -1;
            for (var block = firstBlock; block < endBlock; block++)
            {
                var (column, columns, row, count) = Place(block);
                if (column != paired)
                {
                    foreach (ref readonly var term in terms.AsSpan()) term.Pair(column, columns, pairs);
                    paired = column;
                }

                // The next panel's numbers come while this one is multiplied.
                if (column + Panel < y.Columns)
                {
                    foreach (ref readonly var term in terms.AsSpan()) term.Prefetch(column + Panel, (nint)Math.Min(Panel, y.Columns - column - Panel), block % blocks, blocks);
                }

                var more = Math.Min(row, (RowsStep - (count % RowsStep)) % RowsStep);
                var isFirst = true;
                foreach (ref readonly var term in terms.AsSpan())
                {
                    var right = pairs + ((nint)term.Start * Panel);
                    fixed (ushort* left = &term.Left.Row<ushort>(row - more))
                    {
                        for (nint start = 0; start < (nint)term.Depth; start += BFloat16Blocks.MostDepth)
                        {
                            BFloat16Blocks.Multiply(count + more, columns, Math.Min(BFloat16Blocks.MostDepth, (nint)term.Depth - start), left + start, (nint)term.Left.RowStride, right + (start * Panel), sums, Panel, accumulate: !isFirst || start > 0);
                        }
                    }

                    if (isFirst && scale != 1) Scale(sums, count + more, columns);
                    isFirst = false;
                }

                if (y.ElementType == ScalarType.Float32) Store<float>(row, count, column, columns, sums + (more * Panel));
                else Store<ushort>(row, count, column, columns, sums + (more * Panel));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Scale(float* sums, nint count, nint columns)
        {
            var factor = Vector512.Create(scale);
            for (nint i = 0; i < count; i++, sums += Panel)
            {
                for (nint j = 0; j < columns; j += Lanes.Count) (Vector512.Load(sums + j) * factor).Store(sums + j);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Store<T>(nint row, nint count, nint column, nint columns, float* sums) where T : unmanaged
        {
            for (var i = row; i < row + count; i++, sums += Panel)
            {
                ref var target = ref Unsafe.Add(ref y.Row<T>(i), column);
                for (nint j = 0; j < columns; j += Lanes.Count)
                {
                    var sum = Vector512.Load(sums + j);
                    if (tile.Rows != 0) sum += Vector512.LoadUnsafe(ref tile.Row<float>(i), (nuint)((column + j) % (nint)tile.Columns));
                    Lanes.Store(sum, ref target, (nuint)j);
                }
            }
        }
    }
}
