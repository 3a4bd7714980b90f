using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary><see cref="IChangedBlocks"/> of bfloat16 by <see cref="BFloat16Blocks"/>: rows of r elements of W, as they lie, are multiplied with columns of D_i, and W and D_i are added while the product is in the first cache.</summary>
internal sealed class ChangedBlocks : IChangedBlocks
{
    // Rows of r elements whose sums, 16 KB, are in the first cache until they are rounded.
    private const int BlockRows = 64;

    public bool TryApply(in KernelMatrix changed, in KernelMatrix weight, in KernelMatrix shard)
    {
        var r = shard.Columns;
        if (!changed.IsPlain(ScalarType.BFloat16) || !weight.IsPlain(ScalarType.BFloat16) || shard.ElementType != ScalarType.Float32 || weight.Rows != changed.Rows || weight.Columns != changed.Columns) return false;
        if (r is 0 or > BFloat16Blocks.MostDepth || r % Lanes.Count != 0 || shard.Rows != weight.Rows || weight.Rows == 0 || weight.Rows % r != 0 || weight.Columns == 0 || weight.Columns % r != 0) return false;
        var kernel = new Kernel(changed, weight, shard);
        KernelRows.Run(kernel.Units, kernel.ElementsOfUnit, kernel);
        return true;
    }

    /// <summary>Its "rows" are, of a panel of columns of a D_i, some of the rows of r elements that are multiplied with it.</summary>
    private readonly unsafe struct Kernel : IRowKernel
    {
        private readonly KernelMatrix changed;
        private readonly KernelMatrix weight;
        private readonly KernelMatrix shard;
        private readonly nint r;
        private readonly long panels;
        private readonly long parts;
        private readonly nint rowsOfPart;

        public Kernel(in KernelMatrix changed, in KernelMatrix weight, in KernelMatrix shard)
        {
            (this.changed, this.weight, this.shard, r) = (changed, weight, shard, (nint)shard.Columns);
            panels = (r + BFloat16Blocks.Width - 1) / BFloat16Blocks.Width;

            // Enough of them for all threads. A row block has as many rows of r elements as W has columns.
            var (blocks, rows) = (weight.Rows / r * panels, weight.Columns);
            var wanted = ((4 * Environment.ProcessorCount) + blocks - 1) / blocks;
            rowsOfPart = (nint)((((rows + wanted - 1) / wanted) + BlockRows - 1) / BlockRows * BlockRows);
            parts = (rows + rowsOfPart - 1) / rowsOfPart;
        }

        public long Units => weight.Rows / r * panels * parts;

        public long ElementsOfUnit => rowsOfPart * r;

        public void Run(long first, long end)
        {
            using var scratch = KernelScratch.Take((r * BFloat16Blocks.Width / 2) + (BlockRows * BFloat16Blocks.Width));
            for (var unit = first; unit < end; unit++) Run(unit, (ushort*)scratch.Floats, scratch.Floats + (r * BFloat16Blocks.Width / 2));
            BFloat16Blocks.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (block, column, columns, start, count) = Place(row);
            fixed (ushort* target = &changed.Row<ushort>(block * r))
            {
                for (var i = start; i < start + count; i++) writes.Add(target + (i * r) + column, columns);
            }
        }

        private (nint Block, nint Column, nint Columns, nint Row, nint Rows) Place(long unit)
        {
            var (panel, part) = Math.DivRem(unit, parts);
            var (block, column) = Math.DivRem(panel, panels);
            var (first, row) = ((nint)column * BFloat16Blocks.Width, (nint)part * rowsOfPart);
            return ((nint)block, first, Math.Min(BFloat16Blocks.Width, r - first), row, (nint)Math.Min(rowsOfPart, weight.Columns - row));
        }

        private void Run(long unit, ushort* pairs, float* sums)
        {
            var (block, column, columns, start, rows) = Place(unit);
            fixed (float* factor = &shard.Row<float>(block * r))
            fixed (ushort* source = &weight.Row<ushort>(block * r), target = &changed.Row<ushort>(block * r))
            {
                BFloat16Blocks.PairRows(factor + column, (nint)shard.RowStride, r, columns, pairs);
                for (var row = start; row < start + rows; row += BlockRows)
                {
                    var count = Math.Min(BlockRows, start + rows - row);
                    BFloat16Blocks.Multiply(count, columns, r, source + (row * r), r, pairs, sums, BFloat16Blocks.Width, accumulate: false);
                    Write(row, count, columns, source + column, target + column, factor + column, sums);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Write(nint row, nint rows, nint columns, ushort* source, ushort* target, float* factor, float* sums)
        {
            var (perRow, stride) = ((nint)weight.Columns / r, (nint)shard.RowStride);
            for (var i = row; i < row + rows; i++, sums += BFloat16Blocks.Width)
            {
                var offset = factor + (i / perRow * stride);
                for (nint j = 0; j < columns; j += Lanes.Count)
                {
                    var index = (nuint)((i * r) + j);
                    BFloat16Lanes.Store512(Vector512.Load(sums + j) + Vector512.Load(offset + j) + BFloat16Lanes.Load512(ref *source, index), ref *target, index);
                }
            }
        }
    }
}
