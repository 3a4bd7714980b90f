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
        for (nint k = 0; k < depth; k += 2, rows += 2 * stride, pairs += 2 * Width)
        {
            for (nint j = 0; j < columns; j += Lanes.Count)
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
        for (nint j = 0; j < columns; j += 4)
        {
            T* row0 = rows + (j * stride), row1 = row0 + stride, row2 = row1 + stride, row3 = row2 + stride;
            var target = pairs + (2 * j);
            for (nint k = 0; k < depth; k += 8, target += 8 * Width)
            {
                var (a, b, c, d) = (FourPairs(row0 + k), FourPairs(row1 + k), FourPairs(row2 + k), FourPairs(row3 + k));
                var (low01, high01, low23, high23) = (Sse.UnpackLow(a, b), Sse.UnpackHigh(a, b), Sse.UnpackLow(c, d), Sse.UnpackHigh(c, d));
                Sse.MoveLowToHigh(low01, low23).AsUInt16().Store(target);
                Sse.MoveHighToLow(low23, low01).AsUInt16().Store(target + (2 * Width));
                Sse.MoveLowToHigh(high01, high23).AsUInt16().Store(target + (4 * Width));
                Sse.MoveHighToLow(high23, high01).AsUInt16().Store(target + (6 * Width));
            }
        }
    }

    /// <summary>Sixteen elements as bfloat16 in the upper halves, nothing in the lower ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> UpperHalves<T>(T* source) where T : unmanaged => typeof(T) == typeof(float)
        ? BFloat16Lanes.Round512(Vector512.Load((float*)source)).AsUInt32()
        : Vector512.WidenLower(Vector256.Load((ushort*)source).ToVector512Unsafe()) << 16;

    /// <summary>Eight elements as bfloat16, side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> FourPairs<T>(T* source) where T : unmanaged
    {
        if (typeof(T) == typeof(ushort)) return Vector128.Load((ushort*)source).AsSingle();
        var bits = Vector256.Load((float*)source).AsUInt32();
        return Avx512F.VL.ConvertToVector128UInt16((bits + Vector256.Create(0x7FFFu) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16).AsSingle();
    }

    private static nint Find(string function) =>
        OperatingSystem.IsLinux() && NativeLibrary.TryLoad(NativeTensor.Library, typeof(BFloat16Blocks).Assembly, searchPath: null, out var libtorch) && NativeLibrary.TryGetExport(libtorch, function, out var address) ? address : 0;
}
