using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.Models.Gguf.Blocks;

namespace Fossil.Models.Kernels;

/// <summary>Products of 32 codes of a weight with 32 of a row, in whole numbers: each of the eight sums is that of four neighbours, on any processor.</summary>
internal static class CodeDot
{
    // Two products of codes up to this with 127 fit sixteen bits.
    private const byte LargestOfShorts = 127;

    // Four of them do up to this.
    private const byte LargestOfFour = 64;

    /// <summary>The eight sums.</summary>
    /// <param name="codes">Codes of a weight, 0 to <paramref name="largest"/>.</param>
    /// <param name="row">Codes of a row, -127 to 127.</param>
    /// <param name="largest">The largest code that there may be, a constant.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Of(Vector256<byte> codes, Vector256<sbyte> row, byte largest)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, codes, row);
        if (!Avx2.IsSupported) return Portable(codes, row);
        if (largest <= LargestOfShorts) return Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(codes, row), Vector256<short>.One);
        var low = Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(codes.GetLower()), Avx2.ConvertToVector256Int16(row.GetLower()));
        var high = Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(codes.GetUpper()), Avx2.ConvertToVector256Int16(row.GetUpper()));
        // Adding neighbours leaves the pairs of both halves in turn.
        return Avx2.Permute4x64(Avx2.HorizontalAdd(low, high).AsInt64(), 0b11_01_10_00).AsInt32();
    }

    /// <summary>Whether sums of 512 bits work for codes up to this.</summary>
    public static bool IsWide(byte largest) => Vector512.IsHardwareAccelerated && Avx512BW.IsSupported && (largest <= LargestOfFour || AvxVnni.IsSupported);

    /// <summary>Sums of four neighbours each in two products of 64 codes, added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Of(Vector512<byte> codes, Vector512<sbyte> row, Vector512<byte> otherCodes, Vector512<sbyte> otherRow, byte largest)
    {
        if (largest <= LargestOfFour) return Avx512BW.MultiplyAddAdjacent(Avx512BW.MultiplyAddAdjacent(codes, row) + Avx512BW.MultiplyAddAdjacent(otherCodes, otherRow), Vector512<short>.One);
        var lower = AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, codes.GetLower(), row.GetLower());
        var upper = AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, codes.GetUpper(), row.GetUpper());
        lower = AvxVnni.MultiplyWideningAndAdd(lower, otherCodes.GetLower(), otherRow.GetLower());
        upper = AvxVnni.MultiplyWideningAndAdd(upper, otherCodes.GetUpper(), otherRow.GetUpper());
        return BlockCodes.Join(lower, upper);
    }

    /// <summary>Sums of four neighbours each in one product of 64 codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Of(Vector512<byte> codes, Vector512<sbyte> row, byte largest) => largest <= LargestOfShorts
        ? Avx512BW.MultiplyAddAdjacent(Avx512BW.MultiplyAddAdjacent(codes, row), Vector512<short>.One)
        : BlockCodes.Join(AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, codes.GetLower(), row.GetLower()), AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, codes.GetUpper(), row.GetUpper()));

    private static Vector256<int> Portable(Vector256<byte> codes, Vector256<sbyte> row)
    {
        Vector256<int> sums = default;
        for (var i = 0; i < Vector256<int>.Count; i++)
        {
            var sum = 0;
            for (var j = 4 * i; j < 4 * (i + 1); j++) sum += codes[j] * row[j];
            sums = sums.WithElement(i, sum);
        }

        return sums;
    }
}
