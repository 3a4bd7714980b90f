using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>DoRA's sums on vectors of 512 bits, in one pass over blocks that stay in the first cache; products in bfloat16 are made there too, by <see cref="BFloat16Blocks"/>.</summary>
internal sealed class GainedSum : IGainedSum
{
    public bool TryForward(in KernelMatrix output, in GainedChange change, in KernelMatrix direct, in GainedColumns columns, in KernelMatrix addend)
    {
        if (!Fit(output, change, direct, columns) || output.RowsOverlap || (addend.Rows != 0 && !AreAlike(output, addend))) return false;
        var kernel = new ForwardKernel(output, new(change), direct, new(columns), addend);
        KernelRows.Run(kernel.Units, kernel.ElementsOfUnit, kernel);
        return true;
    }

    public bool TryBackward(in KernelMatrix gradOutput, in GainedChange change, in KernelMatrix direct, in GainedColumns columns, in GainedGradients gradients)
    {
        if (!Fit(gradOutput, change, direct, columns) || !AreAlike(gradOutput, gradients.Direct) || !HasSize(gradients.Change, gradOutput) || !IsRow(gradients.Magnitude, gradOutput.Columns)) return false;
        if (gradients.Change.RowsOverlap || gradients.Direct.RowsOverlap) return false;
        if (gradients.Right.Rows != 0)
        {
            if (!change.IsProduct || gradients.Adds || change.Left.Columns > BFloat16Blocks.Width || gradients.Change.ElementType != ScalarType.BFloat16) return false;
            if (gradients.Right.ElementType != ScalarType.Float32 || gradients.Right.RowsOverlap || gradients.Right.Rows != gradOutput.Columns || gradients.Right.Columns != change.Left.Columns) return false;
        }

        GainedGradient.Run(gradOutput, new(change), direct, new(columns), gradients);
        return true;
    }

    private static bool Fit(in KernelMatrix y, in GainedChange change, in KernelMatrix direct, in GainedColumns columns) =>
        y.Rows > 0 && y.Columns > 0 && y.Columns % Lanes.Count == 0 && AreAlike(y, y) && AreAlike(y, direct) && (change.IsProduct ? GainedBlock.Fits(change, y) : HasSize(change.Left, y))
        && IsRow(columns.Norm, y.Columns) && columns.Magnitude is { Rows: 1, ElementType: ScalarType.Float32 or ScalarType.BFloat16 } && columns.Magnitude.Columns == y.Columns
        && (columns.Bias.Rows == 0 || (columns.Bias is { Rows: 1, ElementType: ScalarType.Float32 or ScalarType.BFloat16 } && columns.Bias.Columns == y.Columns));

    private static bool IsRow(in KernelMatrix row, long columns) => row is { Rows: 1, ElementType: ScalarType.Float32 } && row.Columns == columns;

    private static bool AreAlike(in KernelMatrix y, in KernelMatrix other) => HasSize(other, y) && y.ElementType == other.ElementType;

    private static bool HasSize(in KernelMatrix matrix, in KernelMatrix y) => matrix.ElementType is ScalarType.Float32 or ScalarType.BFloat16 && matrix.Rows == y.Rows && matrix.Columns == y.Columns;

    /// <summary>Its "rows" are rows of a panel.</summary>
    private readonly unsafe struct ForwardKernel : IRowKernel
    {
        private readonly KernelMatrix y;
        private readonly GainedBlock l;
        private readonly KernelMatrix u;
        private readonly GainedFactors factors;
        private readonly KernelMatrix addend;
        private readonly nint width;
        private readonly nint rowsOfUnit;
        private readonly long blocks;

        public ForwardKernel(in KernelMatrix output, GainedBlock change, in KernelMatrix direct, GainedFactors factors, in KernelMatrix addend)
        {
            (y, l, u, this.factors, this.addend, width) = (output, change, direct, factors, addend, GainedBlock.WidthOf(output.Columns));
            // Enough of them for all threads.
            var wanted = Math.Max(1, 4 * Environment.ProcessorCount / Panels);
            rowsOfUnit = (nint)Math.Max(GainedBlock.Rows, (((y.Rows + wanted - 1) / wanted) + GainedBlock.Rows - 1) / GainedBlock.Rows * GainedBlock.Rows);
            blocks = (y.Rows + rowsOfUnit - 1) / rowsOfUnit;
        }

        public long Units => Panels * blocks;

        public long ElementsOfUnit => rowsOfUnit * width;

        private long Panels => (y.Columns + width - 1) / width;

        public void Run(long first, long end)
        {
            using var scratch = KernelScratch.Take(l.ScratchFloats);
            for (var unit = first; unit < end; unit++)
            {
                var (column, columns, start, rows) = Place(unit);
                l.Prepare(column, columns, scratch.Floats);
                for (var row = start; row < start + rows; row += GainedBlock.Rows)
                {
                    var count = Math.Min(GainedBlock.Rows, start + rows - row);
                    var change = l.At(row, count, column, columns, scratch.Floats, out var stride);
                    if (y.ElementType == ScalarType.BFloat16 && l.IsFloat) Write<ushort, float>(row, count, column, columns, (float*)change, stride);
                    else if (y.ElementType == ScalarType.BFloat16) Write<ushort, ushort>(row, count, column, columns, (ushort*)change, stride);
                    else if (l.IsFloat) Write<float, float>(row, count, column, columns, (float*)change, stride);
                    else Write<float, ushort>(row, count, column, columns, (ushort*)change, stride);
                }
            }

            l.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (column, columns, start, count) = Place(row);
            for (var i = start; i < start + count; i++) writes.Add(y, i, column, columns);
        }

        private (nint Column, nint Columns, nint Row, nint Rows) Place(long unit)
        {
            var (panel, block) = Math.DivRem(unit, blocks);
            var (column, row) = ((nint)panel * width, (nint)block * rowsOfUnit);
            return (column, (nint)Math.Min(width, y.Columns - column), row, (nint)Math.Min(rowsOfUnit, y.Rows - row));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Write<T, TChange>(nint row, nint rows, nint column, nint columns, TChange* change, nint stride)
            where T : unmanaged
            where TChange : unmanaged
        {
            for (var j = column; j < column + columns; j += Lanes.Count, change += Lanes.Count)
            {
                var (p, q, o) = factors.Forward(j);
                var part = change;
                var index = (nuint)j;
                for (var i = row; i < row + rows; i++, part += stride)
                {
                    var sum = Vector512.FusedMultiplyAdd(p, Lanes.Load(ref *part, 0), Vector512.FusedMultiplyAdd(q, Lanes.Load(ref u.Row<T>(i), index), o));
                    if (addend.Rows != 0) sum += Lanes.Load(ref addend.Row<T>(i), index);
                    Lanes.Store(sum, ref y.Row<T>(i), index);
                }
            }
        }
    }
}
