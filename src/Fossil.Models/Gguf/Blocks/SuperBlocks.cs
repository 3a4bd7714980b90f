using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// 256 elements in groups of 16 or 32, whose scales (and minimums) are quantised themselves: the "k-quants".
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q2_K : IGgufBlock<Q2_K>, ISuperCodeBlock<Q2_K>
{
    private fixed byte scales[16];
    private fixed byte quants[64];
    private Half scale;
    private Half minimum;

    public static GgufTensorType Type => GgufTensorType.Q2_K;

    public static int Elements => 256;

    public static byte LargestCode => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q2_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2);

    public static Vector512<float> Factors(Q2_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        var packed = Vector128.Load(block->scales);
        (BlockVectors.Floats((packed & Vector128.Create((byte)0xF)).AsSByte()) * scale).Store(scales);
        return BlockVectors.Floats((packed >> 4).AsSByte()) * -minimum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q2_K* block, float* values)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        for (var group = 0; group < 16; group++)
        {
            var packed = block->scales[group];
            var quants = block->quants + (group / 8 * 32) + (group % 2 * 16);
            BlockVectors.Store(BlockVectors.Two(quants, group % 8 / 2 * 2), scale * (packed & 0xF), -(minimum * (packed >> 4)), values + (group * 16));
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q3_K : IGgufBlock<Q3_K>, ISuperCodeBlock<Q3_K>
{
    private fixed byte thirdBits[32];
    private fixed byte quants[64];
    private fixed byte scales[12];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q3_K;

    public static int Elements => 256;

    public static byte LargestCode => 7;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q3_K* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2) | BlockCodes.Bit(block->thirdBits, group, 4);

    public static Vector512<float> Factors(Q3_K* block, float* scales)
    {
        var scale = BlockVectors.Scale(block->scale);
        for (var group = 0; group < 16; group++) scales[group] = scale * (Scale(block->scales, group) - 32);
        return Vector512.Load(scales) * -4f;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q3_K* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        var four = Vector128.Create((sbyte)4);
        for (var group = 0; group < 16; group++)
        {
            var quants = block->quants + (group / 8 * 32) + (group % 2 * 16);
            var high = BlockVectors.Bit(block->thirdBits + (group % 2 * 16), group / 2, 4);
            BlockVectors.Store((BlockVectors.Two(quants, group % 8 / 2 * 2) | high).AsSByte() - four, scale * (Scale(block->scales, group) - 32), values + (group * 16));
        }
    }

    // Sixteen scales of six bits: the low four in the halves of eight bytes, the high two in four bytes more.
    private static int Scale(byte* scales, int group) => (scales[group % 8] >> (group / 8 * 4) & 0xF) | (scales[8 + (group % 4)] >> (group / 4 * 2) & 3) << 4;
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q4_K : IGgufBlock<Q4_K>, ISuperCodeBlock<Q4_K>
{
    private Half scale;
    private Half minimum;
    private fixed byte scales[12];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.Q4_K;

    public static int Elements => 256;

    public static byte LargestCode => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q4_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4);

    public static Vector512<float> Factors(Q4_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum, scales);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q4_K* block, float* values)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        for (var group = 0; group < 8; group++, values += 32)
        {
            var (groupScale, groupMinimum) = SixBits.Of(block->scales, group);
            for (var half = 0; half < 32; half += 16)
            {
                var quants = block->quants + (group / 2 * 32) + half;
                BlockVectors.Store(group % 2 == 0 ? BlockVectors.Low(quants) : BlockVectors.High(quants), scale * groupScale, -(minimum * groupMinimum), values + half);
            }
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q5_K : IGgufBlock<Q5_K>, ISuperCodeBlock<Q5_K>
{
    private Half scale;
    private Half minimum;
    private fixed byte scales[12];
    private fixed byte fifthBits[32];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.Q5_K;

    public static int Elements => 256;

    public static byte LargestCode => 31;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q5_K* block, int group) => BlockCodes.Nibbles(block->quants + (group / 2 * 32), group % 2 * 4) | BlockCodes.Bit(block->fifthBits, group, 16);

    public static Vector512<float> Factors(Q5_K* block, float* scales)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        return SixBits.Factors(block->scales, scale, minimum, scales);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q5_K* block, float* values)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        for (var group = 0; group < 8; group++, values += 32)
        {
            var (groupScale, groupMinimum) = SixBits.Of(block->scales, group);
            for (var half = 0; half < 32; half += 16)
            {
                var quants = block->quants + (group / 2 * 32) + half;
                var low = group % 2 == 0 ? BlockVectors.Low(quants) : BlockVectors.High(quants);
                BlockVectors.Store(low | BlockVectors.Bit(block->fifthBits + half, group, 16), scale * groupScale, -(minimum * groupMinimum), values + half);
            }
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q6_K : IGgufBlock<Q6_K>, ISuperCodeBlock<Q6_K>
{
    private fixed byte low[128];
    private fixed byte high[64];
    private fixed sbyte scales[16];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.Q6_K;

    public static int Elements => 256;

    public static byte LargestCode => 63;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q6_K* block, int group) => BlockCodes.Nibbles(block->low + (group / 4 * 64) + (group % 2 * 32), group % 4 / 2 * 4) | (BlockCodes.Pairs(block->high + (group / 4 * 32), group % 4 * 2) << 4);

    public static Vector512<float> Factors(Q6_K* block, float* scales)
    {
        (BlockVectors.Floats(Vector128.Load(block->scales)) * BlockVectors.Scale(block->scale)).Store(scales);
        return Vector512.Load(scales) * -32f;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q6_K* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        var middle = Vector128.Create((sbyte)32);
        for (var group = 0; group < 16; group++)
        {
            // Of each half, four runs of 32: the low halves of 64 bytes, then their high halves.
            var (half, run, part) = (group / 8, group % 8 / 2, group % 2 * 16);
            var low = block->low + (half * 64) + (run % 2 * 32) + part;
            var fourBits = run < 2 ? BlockVectors.Low(low) : BlockVectors.High(low);
            var twoBits = BlockVectors.Two(block->high + (half * 32) + part, run * 2) << 4;
            BlockVectors.Store((fourBits | twoBits).AsSByte() - middle, scale * block->scales[group], values + (group * 16));
        }
    }
}

/// <summary>Eight scales and eight minimums of six bits in twelve bytes, as Q4_K and Q5_K pack them.</summary>
internal static unsafe class SixBits
{
    /// <summary>The scales of sixteen halves of groups, and what is returned, their minimums.</summary>
    public static Vector512<float> Factors(byte* packed, float scale, float minimum, float* scales)
    {
        var minimums = stackalloc float[16];
        for (var group = 0; group < 8; group++)
        {
            var (groupScale, groupMinimum) = Of(packed, group);
            scales[2 * group] = scales[(2 * group) + 1] = scale * groupScale;
            minimums[2 * group] = minimums[(2 * group) + 1] = -(minimum * groupMinimum);
        }

        return Vector512.Load(minimums);
    }

    public static (int Scale, int Minimum) Of(byte* packed, int group) => group < 4
        ? (packed[group] & 63, packed[group + 4] & 63)
        : (packed[group + 4] & 0xF | packed[group - 4] >> 6 << 4, packed[group + 4] >> 4 | packed[group] >> 6 << 4);
}
