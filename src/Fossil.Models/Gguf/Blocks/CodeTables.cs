using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>What the sixteen codes of four bits stand for, in the types whose steps are not even.</summary>
internal static unsafe class CodeTables
{
    /// <summary>IQ4_NL and IQ4_XS.</summary>
    public static ReadOnlySpan<sbyte> NonLinear => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>MXFP4 and NVFP4: twice the values of a float of four bits, so that they are whole.</summary>
    public static ReadOnlySpan<sbyte> TwiceFloat4 => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    /// <summary>The values of sixteen codes.</summary>
    public static Vector128<sbyte> Look(ReadOnlySpan<sbyte> table, Vector128<byte> codes) => Vector128.Shuffle(Vector128.Create(table).AsByte(), codes).AsSByte();

    /// <summary><see cref="NonLinear"/> + 128.</summary>
    public static ReadOnlySpan<byte> AboveNonLinear => [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];

    /// <summary><see cref="TwiceFloat4"/> + 12.</summary>
    public static ReadOnlySpan<byte> AboveTwiceFloat4 => [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

    /// <summary>The values of the low halves of sixteen bytes, then of the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Look(ReadOnlySpan<byte> table, byte* quants)
    {
        var (values, codes) = (Vector128.Create(table), BlockCodes.Nibbles(quants));
        return Vector256.Create(Vector128.Shuffle(values, codes.GetLower()), Vector128.Shuffle(values, codes.GetUpper()));
    }

    /// <summary>The values of 64 codes.</summary>
    /// <param name="table">Constants, which never move.</param>
    /// <param name="codes">The codes.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Look(ReadOnlySpan<byte> table, Vector512<byte> codes) => Avx512BW.Shuffle(Avx512F.BroadcastVector128ToVector512((int*)Unsafe.AsPointer(in MemoryMarshal.GetReference(table))).AsByte(), codes);
}
