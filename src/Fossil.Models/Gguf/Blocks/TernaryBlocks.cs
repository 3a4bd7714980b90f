using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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
internal unsafe struct TQ2_0 : IGroupCodeBlock<TQ2_0>
{
    private fixed byte quants[64];
    private Half scale;

    public static GgufTensorType Type => GgufTensorType.TQ2_0;

    public static int Elements => 256;

    public static byte LargestCode => 2;

    public static byte? Zero => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(TQ2_0* block, int group) => BlockCodes.Pairs(block->quants + (group / 4 * 32), group % 4 * 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<byte> First, Vector512<byte> Second) FourGroups(TQ2_0* block, int four) => (Four(block->quants + (four * 32)), Four(block->quants + (four * 32) + 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) GroupFactors(TQ2_0* block)
    {
        var scale = BlockVectors.Scale(block->scale);
        return (Vector256.Create(scale), Vector256.Create(-scale));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Four(byte* quants)
    {
        var places = Vector512.Create(0u, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
        return Avx512F.ShiftRightLogicalVariable(Avx512F.BroadcastVector128ToVector512((uint*)quants), places).AsByte() & Vector512.Create((byte)3);
    }
}
