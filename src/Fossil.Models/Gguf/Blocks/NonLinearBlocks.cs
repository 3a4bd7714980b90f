using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

// Elements of four bits that stand for sixteen uneven steps.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ4_NL : IGgufBlock<IQ4_NL>, ICodeBlock<IQ4_NL>
{
    private Half scale;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.IQ4_NL;

    public static int Elements => 32;

    public static byte LargestCode => 255;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(IQ4_NL* block) => CodeTables.Look(CodeTables.AboveNonLinear, block->quants);

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
internal unsafe struct IQ4_XS : IGgufBlock<IQ4_XS>, ISuperCodeBlock<IQ4_XS>
{
    private Half scale;
    private ushort highScales;
    private fixed byte lowScales[4];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.IQ4_XS;

    public static int Elements => 256;

    public static byte LargestCode => 255;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Codes(IQ4_XS* block, int group) => CodeTables.Look(CodeTables.AboveNonLinear, block->quants + (group * 16));

    public static Vector512<float> Factors(IQ4_XS* block, float* scales)
    {
        var scale = BlockVectors.Scale(block->scale);
        for (var group = 0; group < 8; group++) scales[2 * group] = scales[(2 * group) + 1] = scale * (GroupScale(block, group) - 32);
        return Vector512.Load(scales) * -128f;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(IQ4_XS* block, float* values)
    {
        for (var group = 0; group < 8; group++, values += 32)
        {
            var scale = BlockVectors.Scale(block->scale) * (GroupScale(block, group) - 32);
            var quants = block->quants + (group * 16);
            BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.Low(quants)), scale, values);
            BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.High(quants)), scale, values + 16);
        }
    }

    private static int GroupScale(IQ4_XS* block, int group) => (block->lowScales[group / 2] >> (group % 2 * 4) & 0xF) | (block->highScales >> (group * 2) & 3) << 4;
}
