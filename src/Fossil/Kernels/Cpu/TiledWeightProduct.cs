using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Products with W + tile(D) on vectors of 512 bits. A panel of the sum, 64 columns wide, is as far from the multiplication as the second cache.</summary>
internal sealed class TiledWeightProduct : ITiledWeightProduct
{
    // What a thread has of the weight at once, in rows of a panel: 64 KB.
    private const int DepthAtOnce = 256;
    private const int RowsAtOnce = TiledWeightCost.BlockRows;

    /// <summary>Whether this processor has what the kernels are made of.</summary>
    public static bool IsSupported => PanelProduct.IsSupported && Sse.IsSupported;

    public bool Pays(long rows, long inFeatures, long outFeatures) => TiledWeightCost.Pays(rows, inFeatures, outFeatures, Math.Min(get_num_threads(), Environment.ProcessorCount));

    public bool TryProduct(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight, in KernelMatrix shard)
    {
        if (!Fit(output, input, weight) || !IsFloat(shard) || shard.Columns != weight.Rows || weight.Columns % shard.Rows != 0) return false;
        Launch(output, new ProductKernel(output, input, weight, shard));
        return true;
    }

    public bool TryInputGradient(in KernelMatrix inputGradient, in KernelMatrix gradOutput, in KernelMatrix weight, in KernelMatrix transposedShard, bool adds = false)
    {
        if (!Fit(gradOutput, inputGradient, weight) || inputGradient.RowsOverlap || !IsFloat(transposedShard) || transposedShard.Rows != weight.Rows) return false;
        if (transposedShard.Columns % Vector512<float>.Count != 0 || weight.Columns % transposedShard.Columns != 0) return false;
        Launch(inputGradient, new GradientKernel(inputGradient, gradOutput, weight, transposedShard, adds));
        return true;
    }

    private static bool Fit(in KernelMatrix y, in KernelMatrix x, in KernelMatrix w) =>
        IsFloat(y) && IsFloat(x) && IsFloat(w) && !y.RowsOverlap && y.Columns == w.Rows && x.Columns == w.Columns && x.Rows == y.Rows
        && w.Rows % PanelProduct.Width == 0 && w.Columns % PanelProduct.Width == 0;

    private static bool IsFloat(in KernelMatrix matrix) => matrix is { Rows: > 0, ElementType: ScalarType.Float32 };

    private static void Launch<TKernel>(in KernelMatrix result, TKernel kernel) where TKernel : struct, IRowKernel =>
        KernelRows.Run(result.Columns / PanelProduct.Width * Blocks(result.Rows), PanelProduct.Width * RowsAtOnce * PanelProduct.Width, kernel);

    private static long Blocks(long rows) => (rows + RowsAtOnce - 1) / RowsAtOnce;

    /// <summary>The panel and the block of rows of it that are a kernel's "row".</summary>
    private static (nint Column, long Row, nint Rows) Place(in KernelMatrix result, long number)
    {
        var (panel, block) = Math.DivRem(number, Blocks(result.Rows));
        var row = block * RowsAtOnce;
        return ((nint)panel * PanelProduct.Width, row, (nint)Math.Min(RowsAtOnce, result.Rows - row));
    }

    private static void Declare(in KernelMatrix result, long number, KernelWrites writes)
    {
        var (column, row, rows) = Place(result, number);
        for (var i = row; i < row + rows; i++) writes.Add(result, i, column, PanelProduct.Width);
    }

    private readonly unsafe struct ProductKernel(KernelMatrix y, KernelMatrix x, KernelMatrix w, KernelMatrix d) : IRowKernel
    {
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var panel = stackalloc float[DepthAtOnce * PanelProduct.Width];
            for (var number = first; number < end; number++)
            {
                var (column, row, rows) = Place(y, number);
                for (nint start = 0; start < x.Columns; start += DepthAtOnce)
                {
                    var depth = (nint)Math.Min(DepthAtOnce, x.Columns - start);
                    fixed (float* weight = &w.Row<float>(column), shard = &d.Row<float>(0), input = &x.Row<float>(row), output = &y.Row<float>(row))
                    {
                        Transpose(weight + start, (nint)w.RowStride, depth, panel);
                        AddShard(panel, start, depth, shard + column);
                        PanelProduct.Multiply(rows, depth, input + start, (nint)x.RowStride, 1, panel, PanelProduct.Width, output + column, (nint)y.RowStride, accumulate: start > 0);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => Declare(y, row, writes);

        /// <summary>Row k of the panel += row (start + k) mod r of D.</summary>
        private void AddShard(float* panel, nint start, nint depth, float* shard)
        {
            var size = (nint)d.Rows;
            var shardRow = start % size;
            for (nint k = 0; k < depth; k++, panel += PanelProduct.Width)
            {
                var source = shard + (shardRow * (nint)d.RowStride);
                for (nint j = 0; j < PanelProduct.Width; j += Vector512<float>.Count) (Vector512.Load(panel + j) + Vector512.Load(source + j)).Store(panel + j);
                if (++shardRow == size) shardRow = 0;
            }
        }
    }

    private readonly unsafe struct GradientKernel(KernelMatrix dx, KernelMatrix dy, KernelMatrix w, KernelMatrix dt, bool adds) : IRowKernel
    {
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var panel = stackalloc float[DepthAtOnce * PanelProduct.Width];
            for (var number = first; number < end; number++)
            {
                var (column, row, rows) = Place(dx, number);
                for (nint start = 0; start < dy.Columns; start += DepthAtOnce)
                {
                    var depth = (nint)Math.Min(DepthAtOnce, dy.Columns - start);
                    for (nint k = 0; k < depth; k++) AddRow(start + k, column, panel + (k * PanelProduct.Width));
                    fixed (float* gradient = &dy.Row<float>(row), target = &dx.Row<float>(row))
                    {
                        PanelProduct.Multiply(rows, depth, gradient + start, (nint)dy.RowStride, 1, panel, PanelProduct.Width, target + column, (nint)dx.RowStride, accumulate: adds || start > 0);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => Declare(dx, row, writes);

        /// <summary>A row of a panel: W[row, column + j] + Dᵀ[row, (column + j) mod r].</summary>
        private void AddRow(nint row, nint column, float* sum)
        {
            var size = (nint)dt.Columns;
            ref var weight = ref w.Row<float>(row);
            ref var shard = ref dt.Row<float>(row);
            for (nint j = 0; j < PanelProduct.Width; j += Vector512<float>.Count)
            {
                (Vector512.LoadUnsafe(ref weight, (nuint)(column + j)) + Vector512.LoadUnsafe(ref shard, (nuint)((column + j) % size))).Store(sum + j);
            }
        }
    }

    /// <summary>panel[k, j] = rows[j, k] for 64 rows.</summary>
    private static unsafe void Transpose(float* rows, nint stride, nint depth, float* panel)
    {
        for (nint j = 0; j < PanelProduct.Width; j += 4)
        {
            float* row0 = rows + (j * stride), row1 = row0 + stride, row2 = row1 + stride, row3 = row2 + stride, target = panel + j;
            for (nint k = 0; k < depth; k += 4, target += 4 * PanelProduct.Width)
            {
                var (a, b, c, d) = (Vector128.Load(row0 + k), Vector128.Load(row1 + k), Vector128.Load(row2 + k), Vector128.Load(row3 + k));
                var (low01, high01, low23, high23) = (Sse.UnpackLow(a, b), Sse.UnpackHigh(a, b), Sse.UnpackLow(c, d), Sse.UnpackHigh(c, d));
                Sse.MoveLowToHigh(low01, low23).Store(target);
                Sse.MoveHighToLow(low23, low01).Store(target + PanelProduct.Width);
                Sse.MoveLowToHigh(high01, high23).Store(target + (2 * PanelProduct.Width));
                Sse.MoveHighToLow(high23, high01).Store(target + (3 * PanelProduct.Width));
            }
        }
    }
}
