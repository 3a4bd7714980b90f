using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Models.Gguf.Blocks;

// 256 elements in groups of 16 or 32, whose scales (and minimums) are quantised themselves: the "k-quants".
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q2_K : IHalfCodeBlock<Q2_K>
{
    private fixed byte scales[16];
    private fixed byte quants[64];
    private Half scale;
    private Half minimum;

    public static GgufTensorType Type => GgufTensorType.Q2_K;

    public static int Elements => 256;

    public static byte LargestCode => 3;

    public static byte? Zero => null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q2_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> PairOfCodes(Q2_K* block, int pair) => BlockCodes.Twice(block->quants + (pair / 2 * 32), pair % 2 * 4, (pair % 2 * 4) + 2, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Scales, Vector512<float> Minimums) Factors(Q2_K* block)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        var packed = Vector128.Load(block->scales);
        return (BlockVectors.Floats((packed & Vector128.Create((byte)0xF)).AsSByte()) * scale, BlockVectors.Floats((packed >> 4).AsSByte()) * -minimum);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q3_K : IHalfCodeBlock<Q3_K>
{
    private fixed byte thirdBits[32];
    private fixed byte quants[64];
    private fixed byte scales[12];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q3_K;

    public static int Elements => 256;

    public static byte LargestCode => 7;

    public static byte? Zero => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q3_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2) | BlockCodes.Bit(block->thirdBits, group, 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> PairOfCodes(Q3_K* block, int pair) => BlockCodes.Twice(block->quants + (pair / 2 * 32), pair % 2 * 4, (pair % 2 * 4) + 2, 3) | BlockCodes.Twice(block->thirdBits, (2 * pair) - 2, (2 * pair) - 1, 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Scales, Vector512<float> Minimums) Factors(Q3_K* block)
    {
        // Sixteen scales of six bits: the low four in the halves of eight bytes, the high two in four bytes more.
        var (low, high) = (*(ulong*)block->scales, *(uint*)(block->scales + 8));
        var fourBits = Vector128.Create(low, low >> 4).AsByte() & Vector128.Create((byte)0xF);
        var twoBits = Vector128.Create(high, high >> 2, high >> 4, high >> 6).AsByte() & Vector128.Create((byte)3);
        var factors = BlockVectors.Floats((fourBits | (twoBits << 4)).AsSByte() - Vector128.Create((sbyte)32)) * BlockVectors.Scale(block->scale);
        return (factors, factors * -4f);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q4_K : IGroupCodeBlock<Q4_K>
{
    private Half scale;
    private Half minimum;
    private fixed byte scales[12];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.Q4_K;

    public static int Elements => 256;

    public static byte LargestCode => 15;

    public static byte? Zero => null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q4_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<byte> First, Vector512<byte> Second) FourGroups(Q4_K* block, int four) => SixBits.FourGroups(block->quants + (four * 64));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) GroupFactors(Q4_K* block)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q5_K : IGroupCodeBlock<Q5_K>
{
    private Half scale;
    private Half minimum;
    private fixed byte scales[12];
    private fixed byte fifthBits[32];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.Q5_K;

    public static int Elements => 256;

    public static byte LargestCode => 31;

    public static byte? Zero => null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q5_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4) | BlockCodes.Bit(block->fifthBits, group, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<byte> First, Vector512<byte> Second) FourGroups(Q5_K* block, int four)
    {
        var (first, second) = SixBits.FourGroups(block->quants + (four * 64));
        return (first | SixBits.FifthBits(block->fifthBits, four), second | SixBits.FifthBits(block->fifthBits + 16, four));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) GroupFactors(Q5_K* block)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q6_K : IHalfCodeBlock<Q6_K>
{
    private fixed byte low[128];
    private fixed byte high[64];
    private fixed sbyte scales[16];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q6_K;

    public static int Elements => 256;

    public static byte LargestCode => 63;

    public static byte? Zero => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q6_K* block, int group) => BlockCodes.Nibbles(block->low + (group / 4 * 64) + (group % 2 * 32), group % 4 / 2 * 4) | (BlockCodes.Pairs(block->high + (group / 4 * 32), group % 4 * 2) << 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> PairOfCodes(Q6_K* block, int pair) => BlockCodes.Nibbles(Vector512.Load(block->low + (pair / 2 * 64)), pair % 2 * 4) | BlockCodes.Twice(block->high + (pair / 2 * 32), (pair % 2 * 4) - 4, (pair % 2 * 4) - 2, 0x30);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Scales, Vector512<float> Minimums) Factors(Q6_K* block)
    {
        var factors = BlockVectors.Floats(Vector128.Load(block->scales)) * BlockVectors.Scale(block->scale);
        return (factors, factors * -32f);
    }
}

/// <summary>Eight scales and eight minimums of six bits in twelve bytes, as Q4_K and Q5_K pack them.</summary>
internal static unsafe class SixBits
{
    private const uint Six = 0x3F3F3F3F, Four = 0x0F0F0F0F, HighTwo = 0x30303030;

    /// <summary>The scales of the groups, and their minimums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(byte* packed, float scale, float minimum)
    {
        // Of the first four groups six bits in a byte each; of the others the low four bits in the last four bytes, and the high two above those of the first.
        var (first, second, third) = (*(uint*)packed, *(uint*)(packed + 4), *(uint*)(packed + 8));
        var scales = first & Six | (ulong)(third & Four | first >> 2 & HighTwo) << 32;
        var minimums = second & Six | (ulong)(third >> 4 & Four | second >> 2 & HighTwo) << 32;
        return (BlockVectors.Floats(scales) * scale, BlockVectors.Floats(minimums) * -minimum);
    }

    /// <summary>The low halves of 32 bytes are a group, the high ones the next, and so again: the first halves of the four, and their second halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<byte> First, Vector512<byte> Second) FourGroups(byte* quants)
    {
        var bytes = Vector512.Load(quants);
        var (low, high) = (BlockCodes.Nibbles(bytes, 0).AsInt64(), BlockCodes.Nibbles(bytes, 4).AsInt64());
        return (Avx512F.PermuteVar8x64x2(low, Vector512.Create(0L, 1, 8, 9, 4, 5, 12, 13), high).AsByte(), Avx512F.PermuteVar8x64x2(low, Vector512.Create(2L, 3, 10, 11, 6, 7, 14, 15), high).AsByte());
    }

    /// <summary>Of each of sixteen bytes one bit a group, at the fifth place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> FifthBits(byte* bits, int four)
    {
        // Bits that come in from a neighbouring byte are elsewhere.
        const int Place = 4;
        var places = four == 0 ? Vector512.Create(4u, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1) : Vector512.Create(0u, 0, 0, 0, 31, 31, 31, 31, 30, 30, 30, 30, 29, 29, 29, 29);
        return Avx512F.RotateLeftVariable(Avx512F.BroadcastVector128ToVector512((uint*)bits), places).AsByte() & Vector512.Create((byte)(1 << Place));
    }
}
