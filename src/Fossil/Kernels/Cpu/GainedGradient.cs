using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The backward pass of <see cref="GainedSum"/>: a thread has a panel of columns to itself, so that each column has its sums in the order of the rows, whatever the number of threads.</summary>
internal static unsafe class GainedGradient
{
    /// <summary>Runs it on operands that fit.</summary>
    public static void Run(in KernelMatrix gradOutput, GainedBlock change, in KernelMatrix direct, GainedFactors factors, in GainedGradients gradients)
    {
        var width = GainedBlock.WidthOf(gradOutput.Columns);
        var rows = (nint)(gradOutput.Rows + 1) / 2 * 2;
        using var transposed = KernelScratch.Take(gradients.Right.Rows == 0 ? 1 : rows * change.Left.Columns / 2);
        if (gradients.Right.Rows != 0) Transpose(change.Left, (ushort*)transposed.Floats, rows);
        KernelRows.Run((gradOutput.Columns + width - 1) / width, width * gradOutput.Rows, new Kernel(gradOutput, change, direct, factors, gradients, width, (ushort*)transposed.Floats, rows));
    }

    /// <summary>Hᵀ (r, rows), with zeros behind an odd last row of H: two rows at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(in KernelMatrix matrix, ushort* target, nint rows)
    {
        var columns = (nint)matrix.Columns;
        for (nint i = 0; i < rows; i += 2)
        {
            ref var even = ref matrix.Row<ushort>(i);
            var hasOdd = i + 1 < matrix.Rows;
            ref var odd = ref hasOdd ? ref matrix.Row<ushort>(i + 1) : ref even;
            var pairs = (uint*)(target + i);
            for (nint j = 0; j < columns; j++) pairs[j * (rows / 2)] = hasOdd ? Unsafe.Add(ref even, j) | ((uint)Unsafe.Add(ref odd, j) << 16) : Unsafe.Add(ref even, j);
        }
    }

    /// <summary>Its "rows" are panels.</summary>
    private readonly struct Kernel(KernelMatrix dy, GainedBlock l, KernelMatrix u, GainedFactors factors, GainedGradients gradients, nint width, ushort* transposed, nint transposedStride) : IRowKernel
    {
        private nint PairFloats => gradients.Right.Rows == 0 ? 0 : GainedBlock.Rows * BFloat16Blocks.Width / 2;

        private nint ProductFloats => gradients.Right.Rows == 0 ? 0 : (nint)gradients.Right.Columns * BFloat16Blocks.Width;

        public void Run(long first, long end)
        {
            using var scratch = KernelScratch.Take(BFloat16Blocks.Width + PairFloats + ProductFloats + l.ScratchFloats);
            for (var panel = first; panel < end; panel++) Run((nint)panel * width, (nint)Math.Min(width, dy.Columns - (panel * width)), scratch.Floats);
            l.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (column, columns) = (row * width, Math.Min(width, dy.Columns - (row * width)));
            for (var i = 0L; i < dy.Rows; i++)
            {
                writes.Add(gradients.Change, i, column, columns);
                if (gradients.Change.Address != gradients.Direct.Address) writes.Add(gradients.Direct, i, column, columns);
            }

            writes.Add(gradients.Magnitude, 0, column, columns);
            for (var i = column; gradients.Right.Rows != 0 && i < column + columns; i++) writes.Add(gradients.Right, i);
        }

        private void Run(nint column, nint columns, float* scratch)
        {
            float* sums = scratch, pairs = sums + BFloat16Blocks.Width, product = pairs + PairFloats, changes = product + ProductFloats;
            new Span<float>(sums, BFloat16Blocks.Width).Clear();
            l.Prepare(column, columns, changes);
            for (nint row = 0; row < dy.Rows; row += GainedBlock.Rows)
            {
                var count = (nint)Math.Min(GainedBlock.Rows, dy.Rows - row);
                var change = l.At(row, count, column, columns, changes, out var stride);
                if (dy.ElementType == ScalarType.BFloat16) Write<ushort>(row, count, column, columns, change, stride, sums);
                else Write<float>(row, count, column, columns, change, stride, sums);
                if (gradients.Right.Rows == 0) continue;
                fixed (ushort* gained = &gradients.Change.Row<ushort>(row)) BFloat16Blocks.PairRows(gained + column, (nint)gradients.Change.RowStride, count, columns, (ushort*)pairs);
                BFloat16Blocks.Multiply((nint)gradients.Right.Columns, columns, (count + 1) / 2 * 2, transposed + row, transposedStride, (ushort*)pairs, product, BFloat16Blocks.Width, accumulate: row > 0);
            }

            for (nint j = 0; j < columns; j += Lanes.Count)
            {
                ref var magnitude = ref gradients.Magnitude.Row<float>(0);
                var sum = Vector512.Load(sums + j) / factors.Norm(column + j);
                (gradients.Adds ? sum + Vector512.LoadUnsafe(ref magnitude, (nuint)(column + j)) : sum).StoreUnsafe(ref magnitude, (nuint)(column + j));
            }

            if (gradients.Right.Rows != 0) StoreTransposed(column, columns, product);
        }

        private void Write<T>(nint row, nint rows, nint column, nint columns, void* change, nint stride, float* sums) where T : unmanaged
        {
            var isFloat = gradients.Change.ElementType == ScalarType.Float32;
            if (l.IsFloat && isFloat) Write<T, float, float>(row, rows, column, columns, (float*)change, stride, sums);
            else if (l.IsFloat) Write<T, float, ushort>(row, rows, column, columns, (float*)change, stride, sums);
            else if (isFloat) Write<T, ushort, float>(row, rows, column, columns, (ushort*)change, stride, sums);
            else Write<T, ushort, ushort>(row, rows, column, columns, (ushort*)change, stride, sums);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Write<T, TChange, TGradient>(nint row, nint rows, nint column, nint columns, TChange* change, nint stride, float* sums)
            where T : unmanaged
            where TChange : unmanaged
            where TGradient : unmanaged
        {
            var (s, t, isOne) = (Vector512.Create(factors.ChangeScale), Vector512.Create(factors.DirectScale), gradients.Change.Address == gradients.Direct.Address);
            for (nint j = 0; j < columns; j += Lanes.Count, change += Lanes.Count)
            {
                var (gain, directGain, bias) = factors.Backward(column + j);
                var total = Vector512.Load(sums + j);
                var part = change;
                for (var i = row; i < row + rows; i++, part += stride)
                {
                    var index = (nuint)(column + j);
                    var gradient = Lanes.Load(ref dy.Row<T>(i), index);
                    var sum = Vector512.FusedMultiplyAdd(s, Lanes.Load(ref *part, 0), Vector512.FusedMultiplyAdd(t, Lanes.Load(ref u.Row<T>(i), index), -bias));
                    total = Vector512.FusedMultiplyAdd(gradient, sum, total);
                    Lanes.Store(gain * gradient, ref gradients.Change.Row<TGradient>(i), index);
                    if (!isOne) Lanes.Store(directGain * gradient, ref gradients.Direct.Row<T>(i), index);
                }

                total.Store(sums + j);
            }
        }

        /// <summary>Columns of s·Hᵀ (g ⊙ dy) as rows of the gradient of B.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void StoreTransposed(nint column, nint columns, float* product)
        {
            var (r, s) = ((nint)gradients.Right.Columns, factors.ChangeScale);
            for (nint j = 0; j < columns; j++)
            {
                ref var target = ref gradients.Right.Row<float>(column + j);
                for (nint k = 0; k < r; k++) Unsafe.Add(ref target, k) = s * product[(k * BFloat16Blocks.Width) + j];
            }
        }
    }
}
