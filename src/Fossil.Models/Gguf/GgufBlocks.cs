using System.Runtime.CompilerServices;

namespace Fossil.Models.Gguf;

/// <summary>Dequantises blocks to float32, in the order of operations of ggml's <c>dequantize_row_*</c>, so that the results are its bits.</summary>
internal static unsafe class GgufBlocks
{
    /// <summary>Dequantises a whole number of blocks.</summary>
    /// <param name="source">The first block.</param>
    /// <param name="destination">Room for <paramref name="elements"/> floats.</param>
    /// <param name="elements">A multiple of the type's block length.</param>
    public delegate void Decoder(byte* source, float* destination, long elements);

    /// <summary>The decoder of a block type; null where there is none.</summary>
    public static Decoder? For(GgufTensorType type) => type switch
    {
        GgufTensorType.Q8_0 => Q8_0,
        GgufTensorType.Q4_0 => Q4_0,
        GgufTensorType.Q4_1 => Q4_1,
        GgufTensorType.Q5_0 => Q5_0,
        GgufTensorType.Q5_1 => Q5_1,
        GgufTensorType.Q4_K => Q4_K,
        GgufTensorType.Q6_K => Q6_K,
        _ => null,
    };

    private static void Q8_0(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; destination += 32, source += 34)
        {
            var scale = Half(source);
            var quants = (sbyte*)(source + 2);
            for (var i = 0; i < 32; i++) destination[i] = quants[i] * scale;
        }
    }

    private static void Q4_0(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; destination += 32, source += 18)
        {
            var scale = Half(source);
            var quants = source + 2;
            for (var i = 0; i < 16; i++)
            {
                destination[i] = ((quants[i] & 0xF) - 8) * scale;
                destination[i + 16] = ((quants[i] >> 4) - 8) * scale;
            }
        }
    }

    private static void Q4_1(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; destination += 32, source += 20)
        {
            var scale = Half(source);
            var minimum = Half(source + 2);
            var quants = source + 4;
            for (var i = 0; i < 16; i++)
            {
                destination[i] = ((quants[i] & 0xF) * scale) + minimum;
                destination[i + 16] = ((quants[i] >> 4) * scale) + minimum;
            }
        }
    }

    private static void Q5_0(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; destination += 32, source += 22)
        {
            var scale = Half(source);
            var high = Unsafe.ReadUnaligned<uint>(source + 2);
            var quants = source + 6;
            for (var i = 0; i < 16; i++)
            {
                destination[i] = ((quants[i] & 0xF | FifthBit(high, i)) - 16) * scale;
                destination[i + 16] = ((quants[i] >> 4 | FifthBit(high, i + 16)) - 16) * scale;
            }
        }
    }

    private static void Q5_1(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; destination += 32, source += 24)
        {
            var scale = Half(source);
            var minimum = Half(source + 2);
            var high = Unsafe.ReadUnaligned<uint>(source + 4);
            var quants = source + 8;
            for (var i = 0; i < 16; i++)
            {
                destination[i] = ((quants[i] & 0xF | FifthBit(high, i)) * scale) + minimum;
                destination[i + 16] = ((quants[i] >> 4 | FifthBit(high, i + 16)) * scale) + minimum;
            }
        }
    }

    // 256 elements: half scale, half minimum, 12 bytes of eight six-bit scales and minimums, 128 bytes of four-bit quants.
    private static void Q4_K(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; source += 144)
        {
            var scale = Half(source);
            var minimum = Half(source + 2);
            var packed = source + 4;
            var quants = source + 16;
            for (var pair = 0; pair < 4; pair++, quants += 32, destination += 64)
            {
                var (lowScale, lowMinimum) = SixBits(packed, 2 * pair);
                var (highScale, highMinimum) = SixBits(packed, (2 * pair) + 1);
                float d1 = scale * lowScale, m1 = minimum * lowMinimum, d2 = scale * highScale, m2 = minimum * highMinimum;
                for (var i = 0; i < 32; i++)
                {
                    destination[i] = (d1 * (quants[i] & 0xF)) - m1;
                    destination[i + 32] = (d2 * (quants[i] >> 4)) - m2;
                }
            }
        }
    }

    // 256 elements: 128 bytes of low four bits, 64 bytes of high two bits, 16 signed scales, half scale.
    private static void Q6_K(byte* source, float* destination, long elements)
    {
        for (var end = destination + elements; destination < end; source += 210)
        {
            var low = source;
            var high = source + 128;
            var scales = (sbyte*)(source + 192);
            var scale = Half(source + 208);
            for (var half = 0; half < 2; half++, low += 64, high += 32, scales += 8, destination += 128)
            {
                for (var i = 0; i < 32; i++)
                {
                    var group = i / 16;
                    destination[i] = scale * scales[group] * ((low[i] & 0xF | (high[i] & 3) << 4) - 32);
                    destination[i + 32] = scale * scales[group + 2] * ((low[i + 32] & 0xF | (high[i] >> 2 & 3) << 4) - 32);
                    destination[i + 64] = scale * scales[group + 4] * ((low[i] >> 4 | (high[i] >> 4 & 3) << 4) - 32);
                    destination[i + 96] = scale * scales[group + 6] * ((low[i + 32] >> 4 | (high[i] >> 6) << 4) - 32);
                }
            }
        }
    }

    private static float Half(byte* source) => (float)Unsafe.ReadUnaligned<Half>(source);

    private static int FifthBit(uint high, int index) => (int)(high >> index & 1) << 4;

    private static (int Scale, int Minimum) SixBits(byte* packed, int index) => index < 4
        ? (packed[index] & 63, packed[index + 4] & 63)
        : (packed[index + 4] & 0xF | packed[index - 4] >> 6 << 4, packed[index + 4] >> 4 | packed[index] >> 6 << 4);
}
