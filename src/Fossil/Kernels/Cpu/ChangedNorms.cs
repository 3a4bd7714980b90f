using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary><see cref="IChangedNorms"/> of float32 or bfloat16, read where it lies: each row of W once, P made of it by <see cref="BFloat16Blocks"/> while it is in the cache.</summary>
internal sealed class ChangedNorms : IChangedNorms
{
    private const int BlockRows = 64, FewestRows = 48;

    public unsafe bool TryWrite(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix product, in KernelMatrix b, in KernelMatrix gram, float scale)
    {
        if (!Fit(norms, weight)) return false;
        if (product.Rows == 0)
        {
            Run(new Kernel(norms, weight, default, default, scale, default));
            return true;
        }

        if (!Fit(weight, b, gram.Rows) || product.ElementType is not (ScalarType.Float32 or ScalarType.BFloat16) || product.Rows != weight.Rows || product.Columns != b.Columns) return false;
        if (gram.ElementType != ScalarType.Float32 || gram.Columns != gram.Rows) return false;
        var (rank, width) = ((nint)b.Columns, WidthOf(b));
        using var scratch = KernelScratch.Take(rank * width);
        for (nint i = 0; i < rank; i++) Copy(gram, i, scratch.Floats + (i * width), width);
        Scale(scratch.Floats, rank * width, scale * scale);
        Run(new Kernel(norms, weight, product, b, scale, new(scratch.Floats, null)));
        return true;
    }

    public unsafe bool TryWriteRounded(in KernelMatrix norms, in KernelMatrix weight, in KernelMatrix a, in KernelMatrix b, float scale)
    {
        if (!BFloat16Blocks.IsSupported || weight.ElementType != ScalarType.BFloat16 || !Fit(norms, weight) || !Fit(weight, b, a.Rows)) return false;
        if (a.ElementType != ScalarType.Float32 || a.Rows > BFloat16Blocks.Width || a.Rows % 4 != 0 || a.Columns != weight.Columns) return false;
        var (rank, depth, width) = ((nint)b.Columns, (nint)a.Columns, WidthOf(b));
        var (pairFloats, roundedFloats) = (depth * BFloat16Blocks.Width / 2, rank * depth / 2);
        using var scratch = KernelScratch.Take(pairFloats + roundedFloats + (rank * width));
        ushort* pairs = (ushort*)scratch.Floats, rounded = (ushort*)(scratch.Floats + pairFloats);
        var gram = scratch.Floats + pairFloats + roundedFloats;
        if (width > rank) new Span<float>(pairs, (int)pairFloats).Clear();
        fixed (float* rows = &a.Row<float>(0)) BFloat16Blocks.PairColumns(rows, (nint)a.RowStride, depth, rank, pairs);
        Round(a, rounded);
        BFloat16Blocks.Multiply(rank, width, depth, rounded, depth, pairs, gram, width, accumulate: false);
        BFloat16Blocks.Release();
        Scale(gram, rank * width, scale * scale);
        Run(new Kernel(norms, weight, default, b, scale, new(gram, pairs)));
        return true;
    }

    private static bool Fit(in KernelMatrix norms, in KernelMatrix weight) =>
        norms is { Rows: 1, ElementType: ScalarType.Float32 } && norms.Columns == weight.Rows && weight.ElementType is ScalarType.Float32 or ScalarType.BFloat16 && weight.Columns != 0 && weight.Columns % Lanes.Count == 0;

    private static bool Fit(in KernelMatrix weight, in KernelMatrix b, long rank) => b.ElementType == ScalarType.Float32 && b.Rows == weight.Rows && b.Columns > 0 && b.Columns == rank;

    private static void Run(Kernel kernel) => KernelRows.Run(kernel.Units, kernel.ElementsOfUnit, kernel);

    /// <summary>r in whole vectors, behind it zeros.</summary>
    private static nint WidthOf(in KernelMatrix b) => ((nint)b.Columns + Lanes.Count - 1) / Lanes.Count * Lanes.Count;

    /// <summary>A row in float32, with zeros behind it.</summary>
    private static unsafe void Copy(in KernelMatrix matrix, long row, float* target, nint width)
    {
        if (matrix.ElementType == ScalarType.Float32) Copy(ref matrix.Row<float>(row), (nint)matrix.Columns, target, width);
        else Copy(ref matrix.Row<ushort>(row), (nint)matrix.Columns, target, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Copy<T>(ref T row, nint columns, float* target, nint width) where T : unmanaged
    {
        nint j = 0;
        for (; j + Lanes.Count <= columns; j += Lanes.Count) Lanes.Load(ref row, (nuint)j).Store(target + j);
        for (; j < width; j++) target[j] = j < columns ? Lanes.Element(ref row, (nuint)j) : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Scale(float* values, nint count, float factor)
    {
        for (nint i = 0; i < count; i += Lanes.Count) (Vector512.Load(values + i) * factor).Store(values + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Round(in KernelMatrix matrix, ushort* target)
    {
        for (var i = 0L; i < matrix.Rows; i++, target += matrix.Columns)
        {
            ref var row = ref matrix.Row<float>(i);
            for (nuint j = 0; j < (nuint)matrix.Columns; j += Lanes.Count) BFloat16Lanes.Store512(Vector512.LoadUnsafe(ref row, j), ref *target, j);
        }
    }

    /// <summary>What all rows read.</summary>
    /// <param name="gram">s²·G, its rows in whole vectors.</param>
    /// <param name="pairs">Aᵀ as <see cref="BFloat16Blocks"/> reads it; null where P is given.</param>
    private readonly unsafe struct Shared(float* gram, ushort* pairs)
    {
        public float* Gram => gram;

        public ushort* Pairs => pairs;
    }

    /// <summary>Its "rows" are blocks of rows.</summary>
    private readonly unsafe struct Kernel(KernelMatrix norms, KernelMatrix weight, KernelMatrix product, KernelMatrix b, float scale, Shared shared) : IRowKernel
    {
        // Enough blocks for all threads, each long enough to be worth its start.
        private readonly long rowsOfUnit = Math.Max(FewestRows, (weight.Rows + (4 * Environment.ProcessorCount) - 1) / (4 * Environment.ProcessorCount));

        public long Units => (weight.Rows + rowsOfUnit - 1) / rowsOfUnit;

        public long ElementsOfUnit => rowsOfUnit * weight.Columns;

        public void Run(long first, long end)
        {
            var width = b.Rows == 0 ? 0 : WidthOf(b);
            using var scratch = KernelScratch.Take(width + Lanes.Count + (BlockRows * BFloat16Blocks.Width));
            float* factor = scratch.Floats, products = factor + width + Lanes.Count;
            var last = Math.Min(end * rowsOfUnit, weight.Rows);
            for (var start = first * rowsOfUnit; start < last; start += BlockRows)
            {
                var count = (nint)Math.Min(BlockRows, last - start);
                if (shared.Pairs != null)
                {
                    fixed (ushort* rows = &weight.Row<ushort>(start))
                        BFloat16Blocks.Multiply(count, width, (nint)weight.Columns, rows, (nint)weight.RowStride, shared.Pairs, products, BFloat16Blocks.Width, accumulate: false);
                }

                Write(start, count, products, width, factor);
            }

            if (shared.Pairs != null) BFloat16Blocks.Release();
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(norms, 0, row * rowsOfUnit, Math.Min(rowsOfUnit, weight.Rows - (row * rowsOfUnit)));

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Write(long start, nint count, float* products, nint width, float* factor)
        {
            ref var target = ref norms.Row<float>(0);
            for (var row = start; row < start + count; row++)
            {
                var square = weight.ElementType == ScalarType.Float32 ? Square(ref weight.Row<float>(row), (nuint)weight.Columns) : Square(ref weight.Row<ushort>(row), (nuint)weight.Columns);
                if (width > 0)
                {
                    if (shared.Pairs == null) Copy(product, row, products, width);
                    Copy(b, row, factor, width);
                    square += Change(products, factor, width);
                    if (shared.Pairs != null) products += BFloat16Blocks.Width;
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
        private float Change(float* products, float* factor, nint width)
        {
            var gram = shared.Gram;
            var rank = (nint)b.Columns;
            var total = Vector512<float>.Zero;
            for (nint j = 0; j < width; j += Lanes.Count)
            {
                Vector512<float> even = Vector512.Load(products + j) * (2 * scale), odd = default;
                nint k = 0;
                for (; k + 1 < rank; k += 2)
                {
                    even = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k]), Vector512.Load(gram + (k * width) + j), even);
                    odd = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k + 1]), Vector512.Load(gram + ((k + 1) * width) + j), odd);
                }

                if (k < rank) even = Vector512.FusedMultiplyAdd(Vector512.Create(factor[k]), Vector512.Load(gram + (k * width) + j), even);
                total = Vector512.FusedMultiplyAdd(even + odd, Vector512.Load(factor + j), total);
            }

            return Vector512.Sum(total);
        }
    }
}
