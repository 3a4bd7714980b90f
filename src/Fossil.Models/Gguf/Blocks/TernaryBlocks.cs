using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// 256 elements of -1, 0 and 1 with one scale.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct TQ1_0 : IGgufBlock<TQ1_0>
{
    private fixed byte quants[48];
    private fixed byte rest[4];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.TQ1_0;

    public static int Elements => 256;

    public static void Dequantise(TQ1_0* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        values = Digits(block->quants, 32, 5, scale, values);
        values = Digits(block->quants + 32, 16, 5, scale, values);
        Digits(block->rest, 4, 4, scale, values);
    }

    // A byte is a fraction in base 3, its first digit that of the first run of elements: three times it carries the next digit out.
    private static float* Digits(byte* quants, int run, int digits, float scale, float* values)
    {
        byte power = 1;
        for (var digit = 0; digit < digits; digit++, power *= 3)
        {
            for (var i = 0; i < run; i++) *values++ = (((byte)(quants[i] * power) * 3 >> 8) - 1) * scale;
        }

        return values;
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct TQ2_0 : ISuperCodeBlock<TQ2_0>
{
    private fixed byte quants[64];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.TQ2_0;

    public static int Elements => 256;

    public static byte LargestCode => 2;

    public static byte? Zero => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(TQ2_0* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2);

    public static Vector512<float> Factors(TQ2_0* block, float* scales)
    {
        var scale = BlockVectors.Scale(block->scale);
        Vector512.Create(scale).Store(scales);
        return Vector512.Create(-scale);
    }
}
