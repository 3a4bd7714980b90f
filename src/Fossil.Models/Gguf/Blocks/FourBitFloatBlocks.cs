using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// Elements of four bits as floats (sign, two bits of exponent, one of mantissa) with a scale of eight bits.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct MXFP4 : IGgufWrittenBlock<MXFP4>, INibbleBlock<MXFP4>
{
    private byte exponent;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.MXFP4;

    public static int Elements => 32;

    public static byte LargestCode => 24;

    public static byte? Zero => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(MXFP4* block) => CodeTables.Look(CodeTables.AboveTwiceFloat4, block->quants);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(MXFP4* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, MXFP4* blocks, int last, bool isSecond) => CodeTables.Look(CodeTables.AboveTwiceFloat4, nibbles);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(MXFP4* blocks, int last)
    {
        var exponents = Vector256.Create(
            blocks[0].exponent, blocks[Math.Min(1, last)].exponent, blocks[Math.Min(2, last)].exponent, blocks[Math.Min(3, last)].exponent, blocks[Math.Min(4, last)].exponent, blocks[Math.Min(5, last)].exponent, blocks[Math.Min(6, last)].exponent, (uint)blocks[Math.Min(7, last)].exponent);
        var subnormal = (exponents + Vector256<uint>.One) << 21;
        var scales = Vector256.ConditionalSelect(Vector256.LessThan(exponents, Vector256.Create(2u)), subnormal, (exponents - Vector256<uint>.One) << 23).AsSingle();
        return (scales, scales * -12f);
    }

    public static void Dequantise(MXFP4* block, float* values)
    {
        var scale = HalfPowerOfTwo(block->exponent);
        BlockVectors.Store(CodeTables.Look(CodeTables.TwiceFloat4, BlockVectors.Low(block->quants)), scale, values);
        BlockVectors.Store(CodeTables.Look(CodeTables.TwiceFloat4, BlockVectors.High(block->quants)), scale, values + 16);
    }

    public static void Quantise(float* values, MXFP4* block)
    {
        var largest = MathF.Abs(UniformBlocks.Largest(values));
        block->exponent = (byte)(largest > 0 ? MathF.Floor(MathF.Log2(largest)) - 2 + 127 : 0);
        var scale = HalfPowerOfTwo(block->exponent);
        for (var i = 0; i < 16; i++) block->quants[i] = (byte)(Nearest(values[i], scale) | Nearest(values[i + 16], scale) << 4);
    }

    // The first of the nearest.
    private static int Nearest(float value, float scale)
    {
        var best = 0;
        for (var code = 1; code < 16; code++)
        {
            if (MathF.Abs((scale * CodeTables.TwiceFloat4[code]) - value) < MathF.Abs((scale * CodeTables.TwiceFloat4[best]) - value)) best = code;
        }

        return best;
    }

    // Half, as the table holds each value twice; the lowest two exponents give subnormal numbers.
    private static float HalfPowerOfTwo(byte exponent) => BitConverter.UInt32BitsToSingle(exponent < 2 ? 0x00200000u << exponent : (uint)(exponent - 1) << 23);
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct NVFP4 : IGgufBlock<NVFP4>
{
    private fixed byte scales[4];
    private fixed byte quants[32];

    public static GgufTensorType Type => GgufTensorType.NVFP4;

    public static int Elements => 64;

    // Four groups of sixteen: the first eight in the low halves of eight bytes, the others in the high halves.
    public static void Dequantise(NVFP4* block, float* values)
    {
        for (var group = 0; group < 4; group++)
        {
            var scale = HalfScale(block->scales[group]);
            var bytes = block->quants + (group * 8);
            for (var i = 0; i < 8; i++)
            {
                values[(group * 16) + i] = CodeTables.TwiceFloat4[bytes[i] & 0xF] * scale;
                values[(group * 16) + i + 8] = CodeTables.TwiceFloat4[bytes[i] >> 4] * scale;
            }
        }
    }

    // Four bits of exponent and three of mantissa without a sign; all ones is no number, which ggml takes for nothing.
    private static float HalfScale(byte bits)
    {
        var (exponent, mantissa) = (bits >> 3 & 0xF, bits & 7);
        if ((bits & 0x7F) == 0x7F) return 0;
        return 0.5f * (exponent == 0 ? MathF.ScaleB(mantissa, -9) : MathF.ScaleB(1 + (mantissa / 8f), exponent - 7));
    }
}
