using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// 256 elements in groups of 16 or 32, whose scales (and minimums) are quantised themselves: the "k-quants".
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q2_K : ISuperCodeBlock<Q2_K>
{
    private fixed byte scales[16];
    private fixed byte quants[64];
    private Half scale;
    private Half minimum;

    public static GgufTensorType Type => GgufTensorType.Q2_K;

    public static int Elements => 256;

    public static byte LargestCode => 3;

    public static byte? Zero => null;

    public static bool ScalesHalves => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q2_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2);

    public static Vector512<float> Factors(Q2_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        var packed = Vector128.Load(block->scales);
        (BlockVectors.Floats((packed & Vector128.Create((byte)0xF)).AsSByte()) * scale).Store(scales);
        return BlockVectors.Floats((packed >> 4).AsSByte()) * -minimum;
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q3_K : ISuperCodeBlock<Q3_K>
{
    private fixed byte thirdBits[32];
    private fixed byte quants[64];
    private fixed byte scales[12];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q3_K;

    public static int Elements => 256;

    public static byte LargestCode => 7;

    public static byte? Zero => 4;

    public static bool ScalesHalves => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q3_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2) | BlockCodes.Bit(block->thirdBits, group, 4);

    public static Vector512<float> Factors(Q3_K* block, float* scales)
    {
        // Sixteen scales of six bits: the low four in the halves of eight bytes, the high two in four bytes more.
        var (low, high) = (*(ulong*)block->scales, *(uint*)(block->scales + 8));
        var fourBits = Vector128.Create(low, low >> 4).AsByte() & Vector128.Create((byte)0xF);
        var twoBits = Vector128.Create(high, high >> 2, high >> 4, high >> 6).AsByte() & Vector128.Create((byte)3);
        var factors = BlockVectors.Floats((fourBits | (twoBits << 4)).AsSByte() - Vector128.Create((sbyte)32)) * BlockVectors.Scale(block->scale);
        factors.Store(scales);
        return factors * -4f;
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q4_K : ISuperCodeBlock<Q4_K>
{
    private Half scale;
    private Half minimum;
    private fixed byte scales[12];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.Q4_K;

    public static int Elements => 256;

    public static byte LargestCode => 15;

    public static byte? Zero => null;

    public static bool ScalesHalves => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q4_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4);

    public static Vector512<float> Factors(Q4_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum, scales);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q5_K : ISuperCodeBlock<Q5_K>
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

    public static bool ScalesHalves => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q5_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4) | BlockCodes.Bit(block->fifthBits, group, 16);

    public static Vector512<float> Factors(Q5_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum, scales);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q6_K : ISuperCodeBlock<Q6_K>
{
    private fixed byte low[128];
    private fixed byte high[64];
    private fixed sbyte scales[16];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q6_K;

    public static int Elements => 256;

    public static byte LargestCode => 63;

    public static byte? Zero => 32;

    public static bool ScalesHalves => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q6_K* block, int group) => BlockCodes.Nibbles(block->low + (group / 4 * 64) + (group % 2 * 32), group % 4 / 2 * 4) | (BlockCodes.Pairs(block->high + (group / 4 * 32), group % 4 * 2) << 4);

    public static Vector512<float> Factors(Q6_K* block, float* scales)
    {
        var factors = BlockVectors.Floats(Vector128.Load(block->scales)) * BlockVectors.Scale(block->scale);
        factors.Store(scales);
        return factors * -32f;
    }
}

/// <summary>Eight scales and eight minimums of six bits in twelve bytes, as Q4_K and Q5_K pack them.</summary>
internal static unsafe class SixBits
{
    private const uint Six = 0x3F3F3F3F, Four = 0x0F0F0F0F, HighTwo = 0x30303030;

    /// <summary>The scales of sixteen halves of groups, and what is returned, their minimums.</summary>
    public static Vector512<float> Factors(byte* packed, float scale, float minimum, float* scales)
    {
        // Of the first four groups six bits in a byte each; of the others the low four bits in the last four bytes, and the high two above those of the first.
        var (first, second, third) = (*(uint*)packed, *(uint*)(packed + 4), *(uint*)(packed + 8));
        var all = Vector128.Create(first & Six, (third & Four) | (first >> 2 & HighTwo), second & Six, (third >> 4 & Four) | (second >> 2 & HighTwo)).AsByte();
        (BlockVectors.Floats(Vector128.Shuffle(all, Vector128.Create((byte)0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)).AsSByte()) * scale).Store(scales);
        return BlockVectors.Floats(Vector128.Shuffle(all, Vector128.Create((byte)8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15)).AsSByte()) * -minimum;
    }
}
