using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// The innermost loops of matrix products in float32 on 512-bit vectors. libtorch's own float32 product uses half of that width on many processors, and takes
/// only whole tensors; these work on what lies in the first cache.
/// </summary>
internal static unsafe class PanelProduct
{
    /// <summary>Columns of a panel: four vectors.</summary>
    public const int Width = 64;

    private const int Lanes = 16;

    /// <summary>Whether this processor has vectors of 512 bits.</summary>
    public static bool IsSupported => Vector512.IsHardwareAccelerated;

    /// <summary>How many panels cover <paramref name="columns"/>.</summary>
    public static long Panels(long columns) => (columns + Width - 1) / Width;

    /// <summary>The first column of a panel. The last panel ends where the matrix ends, and so may share columns with the one before.</summary>
    public static nint FirstColumn(long panel, long columns) => (nint)Math.Min(panel * Width, columns - Width);

    /// <summary>How many of a panel's first columns are the panel before's: it computes them too, but must not write them, for another thread does.</summary>
    public static nint SharedColumns(long panel, long columns) => (nint)(panel * Width) - FirstColumn(panel, columns);

    /// <summary>Declares the columns of a panel that are its own, in one row of <paramref name="matrix"/>.</summary>
    public static void DeclareWrites(KernelWrites writes, in KernelMatrix matrix, long row, long panel) =>
        writes.Add(matrix, row, panel * Width, Math.Min(Width, matrix.Columns - (panel * Width)));

    /// <summary>C = A B, or C += A B, for a panel B of <see cref="Width"/> columns.</summary>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="depth">Columns of A and rows of B.</param>
    /// <param name="a">A; its element (i, k) is at i · <paramref name="rowStride"/> + k · <paramref name="depthStride"/>.</param>
    /// <param name="rowStride">As said.</param>
    /// <param name="depthStride">As said.</param>
    /// <param name="b">B, rows of at least 64 elements.</param>
    /// <param name="bStride">From a row of B to the next.</param>
    /// <param name="c">C.</param>
    /// <param name="cStride">From a row of C to the next.</param>
    /// <param name="accumulate">Whether C is added to.</param>
    public static void Multiply(nint rows, nint depth, float* a, nint rowStride, nint depthStride, float* b, nint bStride, float* c, nint cStride, bool accumulate)
    {
        nint row = 0;
        for (; row + 4 <= rows; row += 4) FourRows(depth, a + (row * rowStride), rowStride, depthStride, b, bStride, c + (row * cStride), cStride, accumulate);
        for (; row < rows; row++) OneRow(depth, a + (row * rowStride), depthStride, b, bStride, c + (row * cStride), accumulate);
    }

    /// <summary>C[i, j] = Σ_k X[i, k] Y[j, k], or adds it; both with contiguous rows whose length <paramref name="depth"/> is a multiple of 16.</summary>
    public static void Dots(nint rows, nint columns, nint depth, float* x, nint xStride, float* y, nint yStride, float* c, nint cStride, bool accumulate)
    {
        nint row = 0;
        for (; row + 4 <= rows; row += 4)
        {
            nint column = 0;
            for (; column + 4 <= columns; column += 4) FourByFour(depth, x + (row * xStride), xStride, y + (column * yStride), yStride, c + (row * cStride) + column, cStride, accumulate);
            for (; column < columns; column++)
            {
                for (nint i = row; i < row + 4; i++) Put(c + (i * cStride) + column, Dot(depth, x + (i * xStride), y + (column * yStride)), accumulate);
            }
        }

        for (; row < rows; row++)
        {
            for (nint column = 0; column < columns; column++) Put(c + (row * cStride) + column, Dot(depth, x + (row * xStride), y + (column * yStride)), accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows(nint depth, float* a, nint rowStride, nint depthStride, float* b, nint bStride, float* c, nint cStride, bool accumulate)
    {
        Vector512<float> c00 = default, c01 = default, c02 = default, c03 = default, c10 = default, c11 = default, c12 = default, c13 = default;
        Vector512<float> c20 = default, c21 = default, c22 = default, c23 = default, c30 = default, c31 = default, c32 = default, c33 = default;
        float* a1 = a + rowStride, a2 = a1 + rowStride, a3 = a2 + rowStride;
        for (nint k = 0; k < depth; k++)
        {
            var b0 = Vector512.Load(b);
            var b1 = Vector512.Load(b + Lanes);
            var b2 = Vector512.Load(b + (2 * Lanes));
            var b3 = Vector512.Load(b + (3 * Lanes));
            b += bStride;
            var factor = Vector512.Create(*a);
            c00 = Vector512.FusedMultiplyAdd(factor, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(factor, b1, c01);
            c02 = Vector512.FusedMultiplyAdd(factor, b2, c02);
            c03 = Vector512.FusedMultiplyAdd(factor, b3, c03);
            factor = Vector512.Create(*a1);
            c10 = Vector512.FusedMultiplyAdd(factor, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(factor, b1, c11);
            c12 = Vector512.FusedMultiplyAdd(factor, b2, c12);
            c13 = Vector512.FusedMultiplyAdd(factor, b3, c13);
            factor = Vector512.Create(*a2);
            c20 = Vector512.FusedMultiplyAdd(factor, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(factor, b1, c21);
            c22 = Vector512.FusedMultiplyAdd(factor, b2, c22);
            c23 = Vector512.FusedMultiplyAdd(factor, b3, c23);
            factor = Vector512.Create(*a3);
            c30 = Vector512.FusedMultiplyAdd(factor, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(factor, b1, c31);
            c32 = Vector512.FusedMultiplyAdd(factor, b2, c32);
            c33 = Vector512.FusedMultiplyAdd(factor, b3, c33);
            a += depthStride;
            a1 += depthStride;
            a2 += depthStride;
            a3 += depthStride;
        }

        Store(c, accumulate, c00, c01, c02, c03);
        Store(c + cStride, accumulate, c10, c11, c12, c13);
        Store(c + (2 * cStride), accumulate, c20, c21, c22, c23);
        Store(c + (3 * cStride), accumulate, c30, c31, c32, c33);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow(nint depth, float* a, nint depthStride, float* b, nint bStride, float* c, bool accumulate)
    {
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default;
        for (nint k = 0; k < depth; k++)
        {
            var factor = Vector512.Create(*a);
            c0 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(b), c0);
            c1 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(b + Lanes), c1);
            c2 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(b + (2 * Lanes)), c2);
            c3 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(b + (3 * Lanes)), c3);
            a += depthStride;
            b += bStride;
        }

        Store(c, accumulate, c0, c1, c2, c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, bool accumulate, Vector512<float> c0, Vector512<float> c1, Vector512<float> c2, Vector512<float> c3)
    {
        if (accumulate)
        {
            c0 += Vector512.Load(c);
            c1 += Vector512.Load(c + Lanes);
            c2 += Vector512.Load(c + (2 * Lanes));
            c3 += Vector512.Load(c + (3 * Lanes));
        }

        c0.Store(c);
        c1.Store(c + Lanes);
        c2.Store(c + (2 * Lanes));
        c3.Store(c + (3 * Lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByFour(nint depth, float* x, nint xStride, float* y, nint yStride, float* c, nint cStride, bool accumulate)
    {
        Vector512<float> c00 = default, c01 = default, c02 = default, c03 = default, c10 = default, c11 = default, c12 = default, c13 = default;
        Vector512<float> c20 = default, c21 = default, c22 = default, c23 = default, c30 = default, c31 = default, c32 = default, c33 = default;
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride, y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride;
        for (nint k = 0; k < depth; k += Lanes)
        {
            var b0 = Vector512.Load(y + k);
            var b1 = Vector512.Load(y1 + k);
            var b2 = Vector512.Load(y2 + k);
            var b3 = Vector512.Load(y3 + k);
            var a = Vector512.Load(x + k);
            c00 = Vector512.FusedMultiplyAdd(a, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(a, b1, c01);
            c02 = Vector512.FusedMultiplyAdd(a, b2, c02);
            c03 = Vector512.FusedMultiplyAdd(a, b3, c03);
            a = Vector512.Load(x1 + k);
            c10 = Vector512.FusedMultiplyAdd(a, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(a, b1, c11);
            c12 = Vector512.FusedMultiplyAdd(a, b2, c12);
            c13 = Vector512.FusedMultiplyAdd(a, b3, c13);
            a = Vector512.Load(x2 + k);
            c20 = Vector512.FusedMultiplyAdd(a, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(a, b1, c21);
            c22 = Vector512.FusedMultiplyAdd(a, b2, c22);
            c23 = Vector512.FusedMultiplyAdd(a, b3, c23);
            a = Vector512.Load(x3 + k);
            c30 = Vector512.FusedMultiplyAdd(a, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(a, b1, c31);
            c32 = Vector512.FusedMultiplyAdd(a, b2, c32);
            c33 = Vector512.FusedMultiplyAdd(a, b3, c33);
        }

        Put(c, Sums(c00, c01, c02, c03), accumulate);
        Put(c + cStride, Sums(c10, c11, c12, c13), accumulate);
        Put(c + (2 * cStride), Sums(c20, c21, c22, c23), accumulate);
        Put(c + (3 * cStride), Sums(c30, c31, c32, c33), accumulate);
    }

    private static void Put(float* c, float sum, bool accumulate) => *c = accumulate ? *c + sum : sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector128<float> sums, bool accumulate) => (accumulate ? sums + Vector128.Load(c) : sums).Store(c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Sums(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d) =>
        Vector128.Create(Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(d));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(nint depth, float* x, float* y)
    {
        Vector512<float> even = default, odd = default;
        nint k = 0;
        for (; k + (2 * Lanes) <= depth; k += 2 * Lanes)
        {
            even = Vector512.FusedMultiplyAdd(Vector512.Load(x + k), Vector512.Load(y + k), even);
            odd = Vector512.FusedMultiplyAdd(Vector512.Load(x + k + Lanes), Vector512.Load(y + k + Lanes), odd);
        }

        if (k < depth) even = Vector512.FusedMultiplyAdd(Vector512.Load(x + k), Vector512.Load(y + k), even);
        return Vector512.Sum(even + odd);
    }
}
