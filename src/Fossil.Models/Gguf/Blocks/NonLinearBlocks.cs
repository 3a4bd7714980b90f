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
    public static Vector512<byte> Codes(Vector512<byte> nibbles, IQ4_NL* a, IQ4_NL* b, IQ4_NL* c, IQ4_NL* d, bool isSecond) => CodeTables.Look(CodeTables.AboveNonLinear, nibbles);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector128<float> Scales, Vector128<float> Minimums) Factors(IQ4_NL* a, IQ4_NL* b, IQ4_NL* c, IQ4_NL* d)
    {
        var scales = BlockCodes.Singles(a->scale, b->scale, c->scale, d->scale);
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
internal unsafe struct IQ4_XS : ISuperCodeBlock<IQ4_XS>
{
    private Half scale;
    private ushort highScales;
    private fixed byte lowScales[4];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.IQ4_XS;

    public static int Elements => 256;

    public static byte LargestCode => 255;

    public static byte? Zero => 128;

    public static bool ScalesHalves => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(IQ4_XS* block, int group) => CodeTables.Look(CodeTables.AboveNonLinear, block->quants + (group * 16));

    public static Vector512<float> Factors(IQ4_XS* block, float* scales)
    {
        // Eight scales of six bits: the low four in the halves of four bytes, the high two in sixteen bits. Each goes to a byte of its own.
        ulong low = *(uint*)block->lowScales, high = block->highScales;
        low = (low | low << 16) & 0x0000_FFFF_0000_FFFF;
        low = (low | low << 8) & 0x00FF_00FF_00FF_00FF;
        low = (low | low << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        high = (high | high << 24) & 0x0000_00FF_0000_00FF;
        high = (high | high << 12) & 0x000F_000F_000F_000F;
        high = (high | high << 6) & 0x0303_0303_0303_0303;
        var each = Vector128.CreateScalar(low | high << 4).AsByte();
        var halves = Vector128.Shuffle(each, Vector128.Create((byte)0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)).AsSByte();
        var factors = BlockVectors.Floats(halves - Vector128.Create((sbyte)32)) * BlockVectors.Scale(block->scale);
        factors.Store(scales);
        return factors * -128f;
    }
}
