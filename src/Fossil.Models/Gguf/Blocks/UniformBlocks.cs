using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// Thirty-two elements with one scale, and in the types that end in 1 one minimum. Low four bits: element i in the low half of byte i, element i + 16
// in its high half. The packing is ggml's; so is the rounding of what is written, half a step added and cut off.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q4_0 : IGgufWrittenBlock<Q4_0>, INibbleBlock<Q4_0>
{
    private Half scale;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.Q4_0;

    public static int Elements => 32;

    public static byte LargestCode => 15;

    public static byte? Zero => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q4_0* block) => BlockCodes.Nibbles(block->quants);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(Q4_0* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, Q4_0* blocks, int last, bool isSecond) => nibbles;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(Q4_0* blocks, int last)
    {
        var scales = BlockCodes.Singles((byte*)blocks, sizeof(Q4_0), last);
        return (scales, scales * -8f);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q4_0* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        var eight = Vector128.Create((sbyte)8);
        BlockVectors.Store(BlockVectors.Low(block->quants).AsSByte() - eight, scale, values);
        BlockVectors.Store(BlockVectors.High(block->quants).AsSByte() - eight, scale, values + 16);
    }

    public static void Quantise(float* values, Q4_0* block)
    {
        var (scale, inverse) = UniformBlocks.Symmetric(values, -8);
        block->scale = (Half)scale;
        for (var i = 0; i < 16; i++) block->quants[i] = (byte)(UniformBlocks.Symmetric(values[i], inverse, 8) | UniformBlocks.Symmetric(values[i + 16], inverse, 8) << 4);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q4_1 : IGgufWrittenBlock<Q4_1>, INibbleBlock<Q4_1>
{
    private Half scale;
    private Half minimum;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.Q4_1;

    public static int Elements => 32;

    public static byte LargestCode => 15;

    public static byte? Zero => null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q4_1* block) => BlockCodes.Nibbles(block->quants);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(Q4_1* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, Q4_1* blocks, int last, bool isSecond) => nibbles;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(Q4_1* blocks, int last)
    {
        return BlockCodes.SinglesOfPairs((byte*)blocks, sizeof(Q4_1), last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q4_1* block, float* values)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        BlockVectors.Store(BlockVectors.Low(block->quants), scale, minimum, values);
        BlockVectors.Store(BlockVectors.High(block->quants), scale, minimum, values + 16);
    }

    public static void Quantise(float* values, Q4_1* block)
    {
        var (minimum, scale, inverse) = UniformBlocks.Affine(values, 15);
        block->scale = (Half)scale;
        block->minimum = (Half)minimum;
        for (var i = 0; i < 16; i++) block->quants[i] = (byte)(UniformBlocks.Affine(values[i], minimum, inverse, 15) | UniformBlocks.Affine(values[i + 16], minimum, inverse, 15) << 4);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q5_0 : IGgufWrittenBlock<Q5_0>, INibbleBlock<Q5_0>
{
    private Half scale;
    private uint fifthBits;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.Q5_0;

    public static int Elements => 32;

    public static byte LargestCode => 31;

    public static byte? Zero => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q5_0* block) => BlockCodes.Nibbles(block->quants) | BlockCodes.Spread(block->fifthBits, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(Q5_0* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, Q5_0* blocks, int last, bool isSecond) => nibbles | BlockCodes.Spread(blocks[0].fifthBits, blocks[Math.Min(1, last)].fifthBits, blocks[Math.Min(2, last)].fifthBits, blocks[Math.Min(3, last)].fifthBits, isSecond, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(Q5_0* blocks, int last)
    {
        var scales = BlockCodes.Singles((byte*)blocks, sizeof(Q5_0), last);
        return (scales, scales * -16f);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q5_0* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        var sixteen = Vector128.Create((sbyte)16);
        BlockVectors.Store((BlockVectors.Low(block->quants) | BlockVectors.Spread((int)block->fifthBits, 16)).AsSByte() - sixteen, scale, values);
        BlockVectors.Store((BlockVectors.High(block->quants) | BlockVectors.Spread((int)(block->fifthBits >> 16), 16)).AsSByte() - sixteen, scale, values + 16);
    }

    public static void Quantise(float* values, Q5_0* block)
    {
        var (scale, inverse) = UniformBlocks.Symmetric(values, -16);
        block->scale = (Half)scale;
        uint fifthBits = 0;
        for (var i = 0; i < 16; i++)
        {
            int low = UniformBlocks.Symmetric(values[i], inverse, 16), high = UniformBlocks.Symmetric(values[i + 16], inverse, 16);
            block->quants[i] = (byte)(low & 0xF | (high & 0xF) << 4);
            fifthBits |= UniformBlocks.FifthBits(i, low, high);
        }

        block->fifthBits = fifthBits;
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q5_1 : IGgufWrittenBlock<Q5_1>, INibbleBlock<Q5_1>
{
    private Half scale;
    private Half minimum;
    private uint fifthBits;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.Q5_1;

    public static int Elements => 32;

    public static byte LargestCode => 31;

    public static byte? Zero => null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q5_1* block) => BlockCodes.Nibbles(block->quants) | BlockCodes.Spread(block->fifthBits, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(Q5_1* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, Q5_1* blocks, int last, bool isSecond) => nibbles | BlockCodes.Spread(blocks[0].fifthBits, blocks[Math.Min(1, last)].fifthBits, blocks[Math.Min(2, last)].fifthBits, blocks[Math.Min(3, last)].fifthBits, isSecond, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(Q5_1* blocks, int last)
    {
        return BlockCodes.SinglesOfPairs((byte*)blocks, sizeof(Q5_1), last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q5_1* block, float* values)
    {
        float scale = BlockVectors.Scale(block->scale), minimum = BlockVectors.Scale(block->minimum);
        BlockVectors.Store(BlockVectors.Low(block->quants) | BlockVectors.Spread((int)block->fifthBits, 16), scale, minimum, values);
        BlockVectors.Store(BlockVectors.High(block->quants) | BlockVectors.Spread((int)(block->fifthBits >> 16), 16), scale, minimum, values + 16);
    }

    public static void Quantise(float* values, Q5_1* block)
    {
        var (minimum, scale, inverse) = UniformBlocks.Affine(values, 31);
        block->scale = (Half)scale;
        block->minimum = (Half)minimum;
        uint fifthBits = 0;
        for (var i = 0; i < 16; i++)
        {
            int low = UniformBlocks.Affine(values[i], minimum, inverse, 31), high = UniformBlocks.Affine(values[i + 16], minimum, inverse, 31);
            block->quants[i] = (byte)(low & 0xF | (high & 0xF) << 4);
            fifthBits |= UniformBlocks.FifthBits(i, low, high);
        }

        block->fifthBits = fifthBits;
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct Q8_0 : IGgufWrittenBlock<Q8_0>, ICodeBlock<Q8_0>
{
    private Half scale;
    private fixed sbyte quants[32];

    public static GgufTensorType Type => GgufTensorType.Q8_0;

    public static int Elements => 32;

    public static byte LargestCode => 255;

    public static byte? Zero => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(Q8_0* block) => Vector256.Load((byte*)block->quants) ^ Vector256.Create((byte)128);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(Q8_0* blocks, int last)
    {
        var scales = BlockCodes.Singles((byte*)blocks, sizeof(Q8_0), last);
        return (scales, scales * -128f);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(Q8_0* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        BlockVectors.Store(Vector128.Load(block->quants), scale, values);
        BlockVectors.Store(Vector128.Load(block->quants + 16), scale, values + 16);
    }

    // Half away from zero, unlike the others.
    public static void Quantise(float* values, Q8_0* block)
    {
        var scale = MathF.Abs(UniformBlocks.Largest(values)) / 127;
        var inverse = UniformBlocks.Inverse(scale);
        block->scale = (Half)scale;
        for (var i = 0; i < 32; i++) block->quants[i] = (sbyte)Math.Clamp(MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero), -127, 127);
    }
}

/// <summary>Scales and rounding of the types above.</summary>
internal static unsafe class UniformBlocks
{
    /// <summary>The scale by which the element of the largest magnitude becomes <paramref name="lowest"/>, so that no step of the range is unused; and its inverse.</summary>
    public static (float Scale, float Inverse) Symmetric(float* values, int lowest)
    {
        var scale = Largest(values) / lowest;
        return (scale, Inverse(scale));
    }

    /// <summary>A step of a range around <paramref name="middle"/>. In float64, as ggml's depends on whether the compiler fuses product and sum.</summary>
    public static int Symmetric(float value, float inverse, int middle) => (int)Math.Clamp(((double)value * inverse) + (middle + 0.5), 0, (2 * middle) - 1);

    /// <summary>The minimum, and the scale by which the maximum becomes <paramref name="highest"/>; and its inverse.</summary>
    public static (float Minimum, float Scale, float Inverse) Affine(float* values, int highest)
    {
        float minimum = values[0], maximum = values[0];
        for (var i = 1; i < 32; i++)
        {
            minimum = MathF.Min(minimum, values[i]);
            maximum = MathF.Max(maximum, values[i]);
        }

        var scale = (maximum - minimum) / highest;
        return (minimum, scale, Inverse(scale));
    }

    /// <summary>A step above the minimum.</summary>
    public static int Affine(float value, float minimum, float inverse, int highest) => (int)Math.Clamp(((value - minimum) * inverse) + 0.5f, 0, highest);

    /// <summary>The element of the largest magnitude, the first of several.</summary>
    public static float Largest(float* values)
    {
        var largest = 0f;
        for (var i = 0; i < 32; i++)
        {
            if (MathF.Abs(values[i]) > MathF.Abs(largest)) largest = values[i];
        }

        return largest;
    }

    public static float Inverse(float scale) => scale == 0 ? 0 : 1 / scale;

    public static uint FifthBits(int index, int low, int high) => (uint)(low >> 4) << index | (uint)(high >> 4) << (index + 16);
}
