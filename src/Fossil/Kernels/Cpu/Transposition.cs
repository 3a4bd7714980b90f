using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Kernels.Cpu;

/// <summary>Transposed blocks, for what has to be the other factor of a product.</summary>
internal static unsafe class Transposition
{
    /// <summary>target[j, i] = source[i, j] for elements of 16 bits; rows and columns are multiples of 8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(ushort* source, nint stride, nint rows, nint columns, ushort* target, nint targetStride)
    {
        for (nint i = 0; i < rows; i += 8)
        {
            for (nint j = 0; j < columns; j += 8)
            {
                var from = source + (i * stride) + j;
                var (a0, a1, a2, a3) = (Pairs(from, from + stride), Pairs(from + (2 * stride), from + (3 * stride)), Pairs(from + (4 * stride), from + (5 * stride)), Pairs(from + (6 * stride), from + (7 * stride)));
                var to = target + (j * targetStride) + i;
                Store(a0.Low, a1.Low, a2.Low, a3.Low, to, targetStride);
                Store(a0.High, a1.High, a2.High, a3.High, to + (4 * targetStride), targetStride);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static (Vector128<int> Low, Vector128<int> High) Pairs(ushort* even, ushort* odd)
        {
            var (a, b) = (Vector128.Load(even), Vector128.Load(odd));
            return (Sse2.UnpackLow(a, b).AsInt32(), Sse2.UnpackHigh(a, b).AsInt32());
        }

        // Four columns of eight rows, each vector with two rows' elements side by side.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Store(Vector128<int> a, Vector128<int> b, Vector128<int> c, Vector128<int> d, ushort* to, nint stride)
        {
            var (low, high, lowOfLast, highOfLast) = (Sse2.UnpackLow(a, b).AsInt64(), Sse2.UnpackHigh(a, b).AsInt64(), Sse2.UnpackLow(c, d).AsInt64(), Sse2.UnpackHigh(c, d).AsInt64());
            Sse2.UnpackLow(low, lowOfLast).AsUInt16().Store(to);
            Sse2.UnpackHigh(low, lowOfLast).AsUInt16().Store(to + stride);
            Sse2.UnpackLow(high, highOfLast).AsUInt16().Store(to + (2 * stride));
            Sse2.UnpackHigh(high, highOfLast).AsUInt16().Store(to + (3 * stride));
        }
    }

    /// <summary>target[j, i] = scale · source[i, j]; rows are a multiple of 4, columns are as many as <paramref name="source"/> has in whole fours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(float* source, nint stride, nint rows, nint columns, float scale, float* target, nint targetStride)
    {
        var factor = Vector128.Create(scale);
        for (nint j = 0; j < columns; j += 4)
        {
            for (nint i = 0; i < rows; i += 4)
            {
                var from = source + (i * stride) + j;
                var (a, b, c, d) = (Vector128.Load(from) * factor, Vector128.Load(from + stride) * factor, Vector128.Load(from + (2 * stride)) * factor, Vector128.Load(from + (3 * stride)) * factor);
                var (low, high, lowOfLast, highOfLast) = (Sse.UnpackLow(a, b), Sse.UnpackHigh(a, b), Sse.UnpackLow(c, d), Sse.UnpackHigh(c, d));
                var to = target + (j * targetStride) + i;
                Sse.MoveLowToHigh(low, lowOfLast).Store(to);
                if (j + 1 < columns) Sse.MoveHighToLow(lowOfLast, low).Store(to + targetStride);
                if (j + 2 < columns) Sse.MoveLowToHigh(high, highOfLast).Store(to + (2 * targetStride));
                if (j + 3 < columns) Sse.MoveHighToLow(highOfLast, high).Store(to + (3 * targetStride));
            }
        }
    }
}
