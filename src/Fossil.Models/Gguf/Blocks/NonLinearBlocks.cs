using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Fossil.Models.Gguf.Blocks;

// Elements of four bits that stand for sixteen uneven steps.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ4_NL : IGgufBlock<IQ4_NL>
{
    private Half scale;
    private fixed byte quants[16];

    public static GgufTensorType Type => GgufTensorType.IQ4_NL;

    public static int Elements => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(IQ4_NL* block, float* values)
    {
        var scale = BlockVectors.Scale(block->scale);
        BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.Low(block->quants)), scale, values);
        BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.High(block->quants)), scale, values + 16);
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ4_XS : IGgufBlock<IQ4_XS>
{
    private Half scale;
    private ushort highScales;
    private fixed byte lowScales[4];
    private fixed byte quants[128];

    public static GgufTensorType Type => GgufTensorType.IQ4_XS;

    public static int Elements => 256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dequantise(IQ4_XS* block, float* values)
    {
        for (var group = 0; group < 8; group++, values += 32)
        {
            var packed = (block->lowScales[group / 2] >> (group % 2 * 4) & 0xF) | (block->highScales >> (group * 2) & 3) << 4;
            var scale = BlockVectors.Scale(block->scale) * (packed - 32);
            var quants = block->quants + (group * 16);
            BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.Low(quants)), scale, values);
            BlockVectors.Store(CodeTables.Look(CodeTables.NonLinear, BlockVectors.High(quants)), scale, values + 16);
        }
    }
}
