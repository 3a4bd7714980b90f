using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// Products of blocks of bfloat16 with sums in float32, on the processor's own instructions, for which .NET 10 has no name: <c>at::native::cpublas::brgemm</c> of libtorch, which its attention is made of.
/// There is no operation to set up, and any thread may call it. The right factor lies in pairs of rows (<see cref="PairRows"/>, <see cref="PairColumns"/>).
/// </summary>
internal static unsafe class BFloat16Blocks
{
    /// <summary>Columns of the right factor that are paired at a time; the distance of its pairs.</summary>
    public const int Width = 64;

    /// <summary>Depth that one call multiplies well; more goes in pieces.</summary>
    public const int MostDepth = 768;

    private const string Product = "_ZN2at6native7cpublas6brgemmEllllllbPKN3c108BFloat16ES5_Pfb", End = "_ZN2at6native7cpublas14brgemm_releaseEb";

    private static readonly delegate* unmanaged<long, long, long, long, long, long, byte, ushort*, ushort*, float*, byte, void> Multiplied =
        (delegate* unmanaged<long, long, long, long, long, long, byte, ushort*, ushort*, float*, byte, void>)Find(Product);

    private static readonly delegate* unmanaged<byte, void> Released = (delegate* unmanaged<byte, void>)Find(End);

    /// <summary>Whether this processor has the instructions and this libtorch the functions: elsewhere products of bfloat16 are libtorch's operations.</summary>
    public static bool IsSupported { get; } = HasInstructions && Multiplied != null && Released != null;

    // Of a processor without them, or where oneDNN is told to leave them, libtorch throws through the call.
    private static bool HasInstructions =>
        Avx512BW.VL.IsSupported && Avx512DQ.VL.IsSupported && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0
        && Environment.GetEnvironmentVariable("ONEDNN_MAX_CPU_ISA") is null && Environment.GetEnvironmentVariable("DNNL_MAX_CPU_ISA") is null;

    /// <summary>C = L R, or C += L R. Behind the last one of a thread goes <see cref="Release"/>.</summary>
    /// <param name="rows">Rows of L and C.</param>
    /// <param name="columns">Columns of R and C, a multiple of 16, at most <see cref="Width"/>.</param>
    /// <param name="depth">Columns of L, rows of R; even.</param>
    /// <param name="left">L (rows, depth).</param>
    /// <param name="leftStride">Elements from row to row of L.</param>
    /// <param name="right">R, paired.</param>
    /// <param name="sum">C (rows, columns).</param>
    /// <param name="sumStride">Elements from row to row of C.</param>
    /// <param name="accumulate">Whether C is added to; it is not read otherwise.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Multiply(nint rows, nint columns, nint depth, ushort* left, nint leftStride, ushort* right, float* sum, nint sumStride, bool accumulate) =>
        Multiplied(rows, columns, depth, leftStride, Width, sumStride, accumulate ? (byte)1 : (byte)0, left, right, sum, 1);

    /// <summary>Gives back what this thread's processor was set to (tiles of AMX).</summary>
    public static void Release() => Released(1);

    /// <summary>Pairs rows: pairs[k / 2, j] = (R[k, j], R[k + 1, j]). Behind an odd last row goes one of zeros.</summary>
    /// <typeparam name="T">Of R's elements: <see cref="ushort"/> for bfloat16, or <see cref="float"/>, which is rounded.</typeparam>
    /// <param name="rows">R (depth, columns), whose elements lie side by side.</param>
    /// <param name="stride">Elements from row to row of R.</param>
    /// <param name="depth">Rows.</param>
    /// <param name="columns">Columns, a multiple of 16.</param>
    /// <param name="pairs">(⌈depth / 2⌉, <see cref="Width"/>) pairs.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PairRows<T>(T* rows, nint stride, nint depth, nint columns, ushort* pairs) where T : unmanaged
    {
        // Which elements of two vectors, the second one's from 32 on, are the first sixteen pairs.
        var first = Vector512.Create((ushort)0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);
        var last = first + Vector512.Create((ushort)16);
        for (nint k = 0; k < depth; k += 2, rows += 2 * stride, pairs += 2 * Width)
        {
            nint j = 0;
            if (typeof(T) == typeof(ushort) && k + 1 < depth)
            {
                for (; j + (2 * Lanes.Count) <= columns; j += 2 * Lanes.Count)
                {
                    var (even, odd) = (Vector512.Load((ushort*)(rows + j)), Vector512.Load((ushort*)(rows + stride + j)));
                    Avx512BW.PermuteVar32x16x2(even, first, odd).Store(pairs + (2 * j));
                    Avx512BW.PermuteVar32x16x2(even, last, odd).Store(pairs + (2 * j) + (2 * Lanes.Count));
                }
            }

            for (; j < columns; j += Lanes.Count)
            {
                var even = UpperHalves(rows + j) >>> 16;
                var odd = k + 1 < depth ? UpperHalves(rows + stride + j) : Vector512<uint>.Zero;
                (even | odd).Store((uint*)(pairs + (2 * j)));
            }
        }
    }

    /// <summary>Pairs the rows of a transposed R: pairs[k / 2, j] = (Rᵀ[j, k], Rᵀ[j, k + 1]).</summary>
    /// <typeparam name="T">As in <see cref="PairRows"/>.</typeparam>
    /// <param name="rows">Rᵀ (columns, depth), whose elements lie side by side.</param>
    /// <param name="stride">Elements from row to row of Rᵀ.</param>
    /// <param name="depth">A multiple of 8.</param>
    /// <param name="columns">A multiple of 4.</param>
    /// <param name="pairs">As in <see cref="PairRows"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PairColumns<T>(T* rows, nint stride, nint depth, nint columns, ushort* pairs) where T : unmanaged
    {
        for (nint j = 0; j < columns; j += Lanes.Count, rows += Lanes.Count * stride, pairs += 2 * Lanes.Count)
        {
            var some = Math.Min(Lanes.Count, columns - j);
            nint k = 0;
            for (; some == Lanes.Count && k + (2 * Lanes.Count) <= depth; k += 2 * Lanes.Count)
            {
                var (a0, a1, a2, a3) = FourRows(rows + k, stride);
                var (b0, b1, b2, b3) = FourRows(rows + k + (4 * stride), stride);
                var (c0, c1, c2, c3) = FourRows(rows + k + (8 * stride), stride);
                var (d0, d1, d2, d3) = FourRows(rows + k + (12 * stride), stride);
                var target = pairs + (k * Width);
                StoreEveryFourth(a0, b0, c0, d0, target);
                StoreEveryFourth(a1, b1, c1, d1, target + (2 * Width));
                StoreEveryFourth(a2, b2, c2, d2, target + (4 * Width));
                StoreEveryFourth(a3, b3, c3, d3, target + (6 * Width));
            }

            for (; k < depth; k += 8)
            {
                for (nint i = 0; i < some; i += 4)
                {
                    var row = rows + k + (i * stride);
                    var target = pairs + (k * Width) + (2 * i);
                    var (a, b, c, d) = Turned(FourPairs(row), FourPairs(row + stride), FourPairs(row + (2 * stride)), FourPairs(row + (3 * stride)));
                    a.GetLower().GetLower().AsUInt16().Store(target);
                    b.GetLower().GetLower().AsUInt16().Store(target + (2 * Width));
                    c.GetLower().GetLower().AsUInt16().Store(target + (4 * Width));
                    d.GetLower().GetLower().AsUInt16().Store(target + (6 * Width));
                }
            }
        }
    }

    /// <summary>Sixteen elements as bfloat16 in the upper halves, nothing in the lower ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> UpperHalves<T>(T* source) where T : unmanaged => typeof(T) == typeof(float)
        ? BFloat16Lanes.Round512(Vector512.Load((float*)source)).AsUInt32()
        : Vector512.WidenLower(Vector256.Load((ushort*)source).ToVector512Unsafe()) << 16;

    /// <summary>Thirty-two elements as bfloat16, side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> SixteenPairs<T>(T* source) where T : unmanaged => typeof(T) == typeof(float)
        ? Vector512.Create(Avx512F.ConvertToVector256UInt16(UpperHalves(source) >>> 16), Avx512F.ConvertToVector256UInt16(UpperHalves(source + Lanes.Count) >>> 16)).AsUInt32()
        : Vector512.Load((ushort*)source).AsUInt32();

    /// <summary>Eight elements as bfloat16, side by side, and anything behind.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> FourPairs<T>(T* source) where T : unmanaged
    {
        if (typeof(T) == typeof(ushort)) return Vector128.Load((ushort*)source).AsUInt32().ToVector256Unsafe().ToVector512Unsafe();
        var bits = Vector256.Load((float*)source).AsUInt32();
        return Avx512F.VL.ConvertToVector128UInt16((bits + Vector256.Create(0x7FFFu) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16).AsUInt32().ToVector256Unsafe().ToVector512Unsafe();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<uint> First, Vector512<uint> Second, Vector512<uint> Third, Vector512<uint> Fourth) FourRows<T>(T* row, nint stride) where T : unmanaged =>
        Turned(SixteenPairs(row), SixteenPairs(row + stride), SixteenPairs(row + (2 * stride)), SixteenPairs(row + (3 * stride)));

    /// <summary>Of each four columns the first, second, … of four rows, side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<uint> First, Vector512<uint> Second, Vector512<uint> Third, Vector512<uint> Fourth) Turned(Vector512<uint> a, Vector512<uint> b, Vector512<uint> c, Vector512<uint> d)
    {
        var (low01, high01) = (Avx512F.UnpackLow(a, b).AsUInt64(), Avx512F.UnpackHigh(a, b).AsUInt64());
        var (low23, high23) = (Avx512F.UnpackLow(c, d).AsUInt64(), Avx512F.UnpackHigh(c, d).AsUInt64());
        return (Avx512F.UnpackLow(low01, low23).AsUInt32(), Avx512F.UnpackHigh(low01, low23).AsUInt32(), Avx512F.UnpackLow(high01, high23).AsUInt32(), Avx512F.UnpackHigh(high01, high23).AsUInt32());
    }

    /// <summary>Stores quarter i of all four vectors as row 4 i of pairs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreEveryFourth(Vector512<uint> a, Vector512<uint> b, Vector512<uint> c, Vector512<uint> d, ushort* target)
    {
        const byte Even = 0b10_00_10_00, Odd = 0b11_01_11_01;
        var (even01, odd01) = (Avx512F.Shuffle4x128(a, b, Even), Avx512F.Shuffle4x128(a, b, Odd));
        var (even23, odd23) = (Avx512F.Shuffle4x128(c, d, Even), Avx512F.Shuffle4x128(c, d, Odd));
        Avx512F.Shuffle4x128(even01, even23, Even).AsUInt16().Store(target);
        Avx512F.Shuffle4x128(odd01, odd23, Even).AsUInt16().Store(target + (8 * Width));
        Avx512F.Shuffle4x128(even01, even23, Odd).AsUInt16().Store(target + (16 * Width));
        Avx512F.Shuffle4x128(odd01, odd23, Odd).AsUInt16().Store(target + (24 * Width));
    }

    private static nint Find(string function) =>
        OperatingSystem.IsLinux() && NativeLibrary.TryLoad(NativeTensor.Library, typeof(BFloat16Blocks).Assembly, searchPath: null, out var libtorch) && NativeLibrary.TryGetExport(libtorch, function, out var address) ? address : 0;
}
