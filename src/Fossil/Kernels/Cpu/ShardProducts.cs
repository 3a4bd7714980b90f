using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The three products of a shard, and the first of them for a few rows, on vectors of 512 bits. y and dy are read and written where they lie, without a float32 copy.</summary>
internal sealed class ShardProducts : IShardProduct, ISumGradient, IShardGradient, IFewRowsProduct
{
    private const int RowsAtOnce = 64, ShardRowsAtOnce = 16;

    public bool TryAdd(in KernelMatrix output, in KernelMatrix sum, in KernelMatrix shard)
    {
        if (!Fit(output, sum, shard)) return false;
        var (panels, blocks) = (PanelProduct.Panels(output.Columns), Ceiling(output.Rows, RowsAtOnce));
        KernelRows.Run(panels * blocks, PanelProduct.Width * RowsAtOnce, new AddKernel(output, sum, shard, panels));
        return true;
    }

    public bool TryAddOfFewRows(in KernelMatrix output, in KernelMatrix input, in KernelMatrix shard)
    {
        if (!IsWide(output) || output.Rows > IFewRowsProduct.MostRows || output.ElementType != input.ElementType || shard.ElementType != ScalarType.Float32 || shard.Columns != output.Columns) return false;
        if (shard.Rows > FewRowsKernel.LargestShard || shard.Rows % Vector512<float>.Count != 0 || input.Columns % shard.Rows != 0) return false;
        KernelRows.Run(PanelProduct.Panels(output.Columns), PanelProduct.Width * shard.Rows, new FewRowsKernel(output, input, shard));
        return true;
    }

    public bool TrySumGradient(in KernelMatrix gradOutput, in KernelMatrix sumGradient, in KernelMatrix shard)
    {
        if (!Fit(gradOutput, sumGradient, shard) || gradOutput.Columns % Vector512<float>.Count != 0) return false;
        var blocks = Ceiling(gradOutput.Rows, SumGradientKernel.RowsAtOnce);
        KernelRows.Run(blocks, gradOutput.Columns * SumGradientKernel.RowsAtOnce, new SumGradientKernel(gradOutput, sumGradient, shard));
        return true;
    }

    public bool TryShardGradient(in KernelMatrix gradOutput, in KernelMatrix sum, in KernelMatrix shardGradient)
    {
        if (!Fit(gradOutput, sum, shardGradient)) return false;
        var (panels, blocks) = (PanelProduct.Panels(gradOutput.Columns), Ceiling(sum.Columns, ShardRowsAtOnce));
        KernelRows.Run(panels * blocks, PanelProduct.Width * gradOutput.Rows, new ShardGradientKernel(gradOutput, sum, shardGradient, blocks));
        return true;
    }

    private static bool Fit(in KernelMatrix y, in KernelMatrix s, in KernelMatrix d) =>
        IsWide(y) && s.ElementType == ScalarType.Float32 && d.ElementType == ScalarType.Float32 && d.Columns == y.Columns;

    private static bool IsWide(in KernelMatrix y) => y is { Rows: > 0, RowsOverlap: false, Columns: >= PanelProduct.Width, ElementType: ScalarType.Float32 or ScalarType.BFloat16 };

    private static long Ceiling(long count, long size) => (count + size - 1) / size;

    /// <summary>Sixteen elements of float32 or bfloat16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Load(in KernelMatrix matrix, long row, nint column) => matrix.ElementType == ScalarType.Float32
        ? Vector512.LoadUnsafe(ref matrix.Row<float>(row), (nuint)column)
        : BFloat16Lanes.Load512(ref matrix.Row<ushort>(row), (nuint)column);

    /// <summary>The shard sum of a row of x, in float32, for a shard size of whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe void SumShards(in KernelMatrix x, long row, nint shardSize, float* sums)
    {
        for (nint j = 0; j < shardSize; j += Vector512<float>.Count)
        {
            var sum = Vector512<float>.Zero;
            for (var column = j; column < x.Columns; column += shardSize) sum += Load(x, row, column);
            sum.Store(sums + j);
        }
    }

    /// <summary>Adds a row of a product to y from <paramref name="column"/> + <paramref name="skip"/> on, for the columns before are another panel's; in 16 bits it is rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe void AddTo(in KernelMatrix y, long row, nint column, nint skip, float* product)
    {
        if (y.ElementType == ScalarType.Float32)
        {
            ref var target = ref Unsafe.Add(ref y.Row<float>(row), column);
            var i = skip;
            for (; i + 16 <= PanelProduct.Width; i += 16) (Vector512.LoadUnsafe(ref target, (nuint)i) + Vector512.Load(product + i)).StoreUnsafe(ref target, (nuint)i);
            for (; i < PanelProduct.Width; i++) Unsafe.Add(ref target, i) += product[i];
        }
        else
        {
            ref var target = ref Unsafe.Add(ref y.Row<ushort>(row), column);
            var i = skip;
            for (; i + 16 <= PanelProduct.Width; i += 16) BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref target, (nuint)i) + Vector512.Load(product + i), ref target, (nuint)i);
            for (; i < PanelProduct.Width; i++) Unsafe.Add(ref target, i) = BFloat16Lanes.FromSingle(BFloat16Lanes.ToSingle(Unsafe.Add(ref target, i)) + product[i]);
        }
    }

    /// <summary>Its "rows" are blocks of rows of a panel of y.</summary>
    private readonly unsafe struct AddKernel(KernelMatrix y, KernelMatrix s, KernelMatrix d, long panels) : IRowKernel
    {
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var product = stackalloc float[RowsAtOnce * PanelProduct.Width];
            for (var block = first; block < end; block++)
            {
                var (rowBlock, panel) = Math.DivRem(block, panels);
                var row = rowBlock * RowsAtOnce;
                var rows = (nint)Math.Min(RowsAtOnce, y.Rows - row);
                var column = PanelProduct.FirstColumn(panel, y.Columns);
                fixed (float* sums = &s.Row<float>(row), shard = &d.Row<float>(0))
                {
                    PanelProduct.Multiply(rows, (nint)d.Rows, sums, (nint)s.RowStride, 1, shard + column, (nint)d.RowStride, product, PanelProduct.Width, accumulate: false);
                }

                var shared = PanelProduct.SharedColumns(panel, y.Columns);
                for (nint i = 0; i < rows; i++) AddTo(y, row + i, column, shared, product + (i * PanelProduct.Width));
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (rowBlock, panel) = Math.DivRem(row, panels);
            for (var i = rowBlock * RowsAtOnce; i < Math.Min((rowBlock + 1) * RowsAtOnce, y.Rows); i++) PanelProduct.DeclareWrites(writes, y, i, panel);
        }
    }

    /// <summary>Its "rows" are panels of y.</summary>
    private readonly unsafe struct FewRowsKernel(KernelMatrix y, KernelMatrix x, KernelMatrix d) : IRowKernel
    {
        public const int LargestShard = 512;

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var sums = stackalloc float[IFewRowsProduct.MostRows * LargestShard];
            var product = stackalloc float[IFewRowsProduct.MostRows * PanelProduct.Width];
            var (rows, shardSize) = ((nint)x.Rows, (nint)d.Rows);
            for (nint row = 0; row < rows; row++) SumShards(x, row, shardSize, sums + (row * shardSize));

            for (var panel = first; panel < end; panel++)
            {
                var column = PanelProduct.FirstColumn(panel, y.Columns);
                fixed (float* shard = &d.Row<float>(0))
                {
                    PanelProduct.Multiply(rows, shardSize, sums, shardSize, 1, shard + column, (nint)d.RowStride, product, PanelProduct.Width, accumulate: false);
                }

                for (nint row = 0; row < rows; row++) AddTo(y, row, column, PanelProduct.SharedColumns(panel, y.Columns), product + (row * PanelProduct.Width));
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            for (var i = 0L; i < y.Rows; i++) PanelProduct.DeclareWrites(writes, y, i, panel: row);
        }
    }

    /// <summary>Its "rows" are blocks of rows of dy.</summary>
    private readonly unsafe struct SumGradientKernel(KernelMatrix dy, KernelMatrix ds, KernelMatrix d) : IRowKernel
    {
        public const int RowsAtOnce = 16;

        private const int DepthAtOnce = 512;

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var gradient = stackalloc float[RowsAtOnce * DepthAtOnce];
            var part = stackalloc float[4 * 4];
            for (var block = first; block < end; block++)
            {
                var row = block * RowsAtOnce;
                var rows = (nint)Math.Min(RowsAtOnce, dy.Rows - row);
                for (nint column = 0; column < dy.Columns; column += DepthAtOnce)
                {
                    var depth = (nint)Math.Min(DepthAtOnce, dy.Columns - column);
                    for (nint i = 0; i < rows; i++)
                    {
                        for (nint k = 0; k < depth; k += 16) Load(dy, row + i, column + k).Store(gradient + (i * DepthAtOnce) + k);
                    }

                    fixed (float* shard = &d.Row<float>(0), target = &ds.Row<float>(row))
                    {
                        PanelProduct.Dots(rows, (nint)d.Rows, depth, gradient, DepthAtOnce, shard + column, (nint)d.RowStride, target, (nint)ds.RowStride, accumulate: column > 0);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            for (var i = row * RowsAtOnce; i < Math.Min((row + 1) * RowsAtOnce, ds.Rows); i++) writes.Add(ds, i);
        }
    }

    /// <summary>Its "rows" are blocks of rows of a panel of dD.</summary>
    private readonly unsafe struct ShardGradientKernel(KernelMatrix dy, KernelMatrix s, KernelMatrix dd, long blocks) : IRowKernel
    {
        private const int DepthAtOnce = 128;

        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var gradient = stackalloc float[DepthAtOnce * PanelProduct.Width];
            var sharing = stackalloc float[ShardRowsAtOnce * PanelProduct.Width];
            for (var block = first; block < end; block++)
            {
                var (panel, shardBlock) = Math.DivRem(block, blocks);
                var (column, shared) = (PanelProduct.FirstColumn(panel, dy.Columns), PanelProduct.SharedColumns(panel, dy.Columns));
                var (shardRow, shardRows) = (shardBlock * ShardRowsAtOnce, (nint)Math.Min(ShardRowsAtOnce, dd.Rows - (shardBlock * ShardRowsAtOnce)));
                for (long row = 0; row < dy.Rows; row += DepthAtOnce)
                {
                    var depth = (nint)Math.Min(DepthAtOnce, dy.Rows - row);
                    for (nint i = 0; i < depth; i++)
                    {
                        for (nint k = 0; k < PanelProduct.Width; k += 16) Load(dy, row + i, column + k).Store(gradient + (i * PanelProduct.Width) + k);
                    }

                    fixed (float* sums = &s.Row<float>(row), target = &dd.Row<float>(shardRow))
                    {
                        // A panel that shares columns is made aside, so that it writes none but its own.
                        var part = shared == 0 ? target + column : sharing;
                        var stride = shared == 0 ? (nint)dd.RowStride : PanelProduct.Width;
                        PanelProduct.Multiply(shardRows, depth, sums + shardRow, 1, (nint)s.RowStride, gradient, PanelProduct.Width, part, stride, accumulate: row > 0);
                    }
                }

                for (nint i = 0; shared > 0 && i < shardRows; i++)
                {
                    var own = new Span<float>(sharing + (i * PanelProduct.Width) + shared, PanelProduct.Width - (int)shared);
                    own.CopyTo(MemoryMarshal.CreateSpan(ref Unsafe.Add(ref dd.Row<float>(shardRow + i), column + shared), own.Length));
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (panel, shardBlock) = Math.DivRem(row, blocks);
            for (var i = shardBlock * ShardRowsAtOnce; i < Math.Min((shardBlock + 1) * ShardRowsAtOnce, dd.Rows); i++) PanelProduct.DeclareWrites(writes, dd, i, panel);
        }
    }
}
