using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary><see cref="IChangedNorms"/> of float32 or bfloat16, read where it lies: each row of W once, P made of it by <see cref="BFloat16Blocks"/> while it is in the cache.</summary>
internal sealed class ChangedNorms : IChangedNorms
{
    private const int BlockRows = 64, FewestRows = 48;

    public bool TryWrite(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix product, in KernelMatrix b, in KernelMatrix gram, float scale)
    {
        if (product.Rows != 0 && (!Fit(weight, b, gram) || product.ElementType is not (ScalarType.Float32 or ScalarType.BFloat16) || product.Rows != weight.Rows || product.Columns != b.Columns)) return false;
        return TryRun(norms, weight, product, default, b, gram, scale);
    }

    public bool TryWriteRounded(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix a, in KernelMatrix b, in KernelMatrix gram, float scale)
    {
        if (!BFloat16Blocks.IsSupported || weight.ElementType != ScalarType.BFloat16 || a.ElementType != ScalarType.Float32 || !Fit(weight, b, gram)) return false;
        if (a.Rows != b.Columns || a.Rows > BFloat16Blocks.Width || a.Rows % 4 != 0 || a.Columns != weight.Columns) return false;
        return TryRun(norms, weight, default, a, b, gram, scale);
    }

    private static bool Fit(in KernelMatrix weight, in KernelMatrix b, in KernelMatrix gram) =>
        b.ElementType == ScalarType.Float32 && b.Rows == weight.Rows && b.Columns > 0 && gram.ElementType == ScalarType.Float32 && gram.Rows == b.Columns && gram.Columns == b.Columns;

    private static bool TryRun(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix product, in KernelMatrix a, in KernelMatrix b, in KernelMatrix gram, float scale)
    {
        if (norms is not { Rows: 1, ElementType: ScalarType.Float32 } || norms.Columns != weight.Rows) return false;
        if (weight.ElementType is not (ScalarType.Float32 or ScalarType.BFloat16) || weight.Columns == 0 || weight.Columns % Lanes.Count != 0) return false;
        var rows = Math.Max(FewestRows, (weight.Rows + (4 * Environment.ProcessorCount) - 1) / (4 * Environment.ProcessorCount));
        KernelRows.Run((weight.Rows + rows - 1) / rows, rows * weight.Columns, new Kernel(norms, weight, product, a, b, gram, scale, rows));
        return true;
    }

    /// <summary>Its "rows" are blocks of rows.</summary>
    private readonly unsafe struct Kernel(KernelMatrix norms, KernelMatrix weight, KernelMatrix product, KernelMatrix a, KernelMatrix b, KernelMatrix gram, float scale, long rowsOfUnit) : IRowKernel
    {
        /// <summary>r in whole vectors, behind it zeros.</summary>
        private nint Width => ((nint)gram.Columns + Lanes.Count - 1) / Lanes.Count * Lanes.Count;

        public void Run(long first, long end)
        {
            var (r, width) = ((nint)gram.Rows, Width);
            var (sums, pairs) = a.Rows == 0 ? (width, 0) : ((nint)BlockRows * BFloat16Blocks.Width, (nint)a.Columns * BFloat16Blocks.Width / 2);
            using var scratch = KernelScratch.Take(pairs + ((r + 1) * width) + sums + Lanes.Count);
            float* gramRows = scratch.Floats + pairs, factor = gramRows + (r * width), products = factor + width;
            for (nint i = 0; i < r; i++) Copy(gram, i, gramRows + (i * width), width, scale * scale);
            if (a.Rows != 0)
            {
                new Span<float>(scratch.Floats, (int)pairs).Clear();
                fixed (float* rows = &a.Row<float>(0)) BFloat16Blocks.PairColumns(rows, (nint)a.RowStride, (nint)a.Columns, r, (ushort*)scratch.Floats);
            }

            var last = Math.Min(end * rowsOfUnit, weight.Rows);
            for (var start = first * rowsOfUnit; start < last; start += BlockRows)
            {
                var count = (nint)Math.Min(BlockRows, last - start);
                if (a.Rows != 0)
                {
                    fixed (ushort* rows = &weight.Row<ushort>(start))
                        BFloat16Blocks.Multiply(count, width, (nint)a.Columns, rows, (nint)weight.RowStride, (ushort*)scratch.Floats, products, BFloat16Blocks.Width, accumulate: false);
                }

                Write(start, count, products, a.Rows == 0 ? 0 : BFloat16Blocks.Width, gramRows, factor, width);
            }

            if (a.Rows != 0) BFloat16Blocks.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(norms, 0, row * rowsOfUnit, Math.Min(rowsOfUnit, weight.Rows - (row * rowsOfUnit)));

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Write(long start, nint count, float* products, nint stride, float* gramRows, float* factor, nint width)
        {
            ref var target = ref norms.Row<float>(0);
            for (var row = start; row < start + count; row++, products += stride)
            {
                var square = weight.ElementType == ScalarType.Float32 ? Square(ref weight.Row<float>(row), (nuint)weight.Columns) : Square(ref weight.Row<ushort>(row), (nuint)weight.Columns);
                if (width > 0)
                {
                    if (stride == 0) Copy(product, row, products, width, 1);
                    Copy(b, row, factor, width, 1);
                    square += Change(products, factor, gramRows, width);
                }

                Unsafe.Add(ref target, (nint)row) = MathF.Sqrt(MathF.Max(0, square));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Square<T>(ref T row, nuint columns) where T : unmanaged
        {
            Vector512<float> even = default, odd = default;
            nuint column = 0;
            for (; column + (2 * Lanes.Count) <= columns; column += 2 * Lanes.Count)
            {
                var (first, second) = (Lanes.Load(ref row, column), Lanes.Load(ref row, column + Lanes.Count));
                even = Vector512.FusedMultiplyAdd(first, first, even);
                odd = Vector512.FusedMultiplyAdd(second, second, odd);
            }

            if (column < columns)
            {
                var rest = Lanes.Load(ref row, column);
                even = Vector512.FusedMultiplyAdd(rest, rest, even);
            }

            return Vector512.Sum(even + odd);
        }

        /// <summary>(2s·P_j + s²·B_j G) · B_j.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private float Change(float* products, float* factor, float* gramRows, nint width)
        {
            var total = Vector512<float>.Zero;
            for (nint j = 0; j < width; j += Lanes.Count)
            {
                Vector512<float> even = Vector512.Load(products + j) * (2 * scale), odd = default;
                nint k = 0;
                for (; k + 1 < (nint)gram.Rows; k += 2)
                {
                    even = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k]), Vector512.Load(gramRows + (k * width) + j), even);
                    odd = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k + 1]), Vector512.Load(gramRows + ((k + 1) * width) + j), odd);
                }

                if (k < (nint)gram.Rows) even = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k]), Vector512.Load(gramRows + (k * width) + j), even);
                total = Vector512.FusedMultiplyAdd(even + odd, Vector512.Load(factor + j), total);
            }

            return Vector512.Sum(total);
        }

        /// <summary>A row times a number, in float32, with zeros behind it.</summary>
        private static void Copy(in KernelMatrix matrix, long row, float* target, nint width, float factor)
        {
            if (matrix.ElementType == ScalarType.Float32) Copy(ref matrix.Row<float>(row), (nint)matrix.Columns, target, width, factor);
            else Copy(ref matrix.Row<ushort>(row), (nint)matrix.Columns, target, width, factor);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Copy<T>(ref T row, nint columns, float* target, nint width, float factor) where T : unmanaged
        {
            nint j = 0;
            for (; j + Lanes.Count <= columns; j += Lanes.Count) (Lanes.Load(ref row, (nuint)j) * factor).Store(target + j);
            for (; j < width; j++) target[j] = j < columns ? Lanes.Element(ref row, (nuint)j) * factor : 0;
        }
    }
}
