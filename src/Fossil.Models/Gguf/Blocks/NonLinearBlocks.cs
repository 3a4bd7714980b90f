using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// Elements of four bits that stand for sixteen uneven steps.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ4_NL : IGgufBlock<IQ4_NL>, INibbleBlock<IQ4_NL>
{
    private Half scale;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.IQ4_NL;

    public static int Elements => 32;

    public static byte LargestCode => 255;

    public static byte? Zero => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(IQ4_NL* block) => CodeTables.Look(CodeTables.AboveNonLinear, block->quants);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Nibbles(IQ4_NL* block) => block->quants;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Codes(Vector512<byte> nibbles, IQ4_NL* blocks, int last, bool isSecond) => CodeTables.Look(CodeTables.AboveNonLinear, nibbles);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) Factors(IQ4_NL* blocks, int last)
    {
        var scales = BlockCodes.Singles((byte*)blocks, sizeof(IQ4_NL), last);
        return (scales, scales * -128f);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(IQ4_NL* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.Low(block->quants)), scale, values);
        BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.High(block->quants)), scale, values + 16);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ4_XS : IGroupCodeBlock<IQ4_XS>
{
    private Half scale;
    private ushort highScales;
    private fixed byte lowScales[4];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.IQ4_XS;

    public static int Elements => 256;

    public static byte LargestCode => 255;

    public static byte? Zero => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(IQ4_XS* block, int group) => CodeTables.Look(CodeTables.AboveNonLinear, block->quants + (group * 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<byte> First, Vector512<byte> Second) FourGroups(IQ4_XS* block, int four)
    {
        var bytes = Vector512.Load(block->quants + (four * 64));
        return (CodeTables.Look(CodeTables.AboveNonLinear, BlockCodes.Nibbles(bytes, 0)), CodeTables.Look(CodeTables.AboveNonLinear, BlockCodes.Nibbles(bytes, 4)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Minimums) GroupFactors(IQ4_XS* block)
    {
        // Eight scales of six bits: the low four in the halves of four bytes, the high two in sixteen bits. Each goes to a byte of its own.
        ulong low = *(uint*)block->lowScales, high = block->highScales;
        low = (low | low << 16) & 0x0000_FFFF_0000_FFFF;
        low = (low | low << 8) & 0x00FF_00FF_00FF_00FF;
        low = (low | low << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        high = (high | high << 24) & 0x0000_00FF_0000_00FF;
        high = (high | high << 12) & 0x000F_000F_000F_000F;
        high = (high | high << 6) & 0x0303_0303_0303_0303;
        // 32 less, each in its byte: the highest bit is set while subtracting, so that nothing is borrowed.
        const ulong Highest = 0x8080_8080_8080_8080, Middle = 0x2020_2020_2020_2020;
        var factors = BlockVectors.Floats(((low | high << 4) | Highest) - Middle ^ Highest) * BlockVectors.Scale(block->scale);
        return (factors, factors * -128f);
    }
}
