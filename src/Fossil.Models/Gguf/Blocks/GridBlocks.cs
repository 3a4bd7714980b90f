using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Fossil.Models.Gguf.Blocks;

// 256 elements as eight groups of 32. Four or eight elements together are one entry of the type's grid (Grids), with signs and scales beside it.
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ2_XXS : IGgufBlock<IQ2_XXS>
{
    private Half scale;
    private fixed byte quants[64];

    public static GgufTensorType Type => GgufTensorType.IQ2_XXS;

    public static int Elements => 256;

    public static void Dequantise(IQ2_XXS* block, float* values)
    {
        for (var group = 0; group < 8; group++)
        {
            // Four entries of eight, then four times seven bits of signs, then a scale of four bits.
            var quants = block->quants + (group * 8);
            var packed = Unsafe.ReadUnaligned<uint>(quants + 4);
            var scale = BlockVectors.Scale(block->scale) * (0.5f + (packed >> 28)) * 0.25f;
            for (var i = 0; i < 4; i++, values += 8) Grids.IQ2_XXS.Store(quants[i], Grids.EvenSigns(packed >> (7 * i)), scale, values);
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ2_XS : IGgufBlock<IQ2_XS>
{
    private Half scale;
    private fixed ushort quants[32];
    private fixed byte scales[8];

    public static GgufTensorType Type => GgufTensorType.IQ2_XS;

    public static int Elements => 256;

    public static void Dequantise(IQ2_XS* block, float* values)
    {
        for (var i = 0; i < 32; i++, values += 8)
        {
            // Nine bits of an entry of eight, seven of signs; a scale for two entries.
            var quant = block->quants[i];
            var scale = BlockVectors.Scale(block->scale) * (0.5f + (block->scales[i / 4] >> (i % 4 / 2 * 4) & 0xF)) * 0.25f;
            Grids.IQ2_XS.Store(quant & 511, Grids.EvenSigns((uint)quant >> 9), scale, values);
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ2_S : IGgufBlock<IQ2_S>
{
    private Half scale;
    private fixed byte quants[32];
    private fixed byte signs[32];
    private fixed byte high[8];
    private fixed byte scales[8];

    public static GgufTensorType Type => GgufTensorType.IQ2_S;

    public static int Elements => 256;

    public static void Dequantise(IQ2_S* block, float* values)
    {
        for (var i = 0; i < 32; i++, values += 8)
        {
            var entry = block->quants[i] | (block->high[i / 4] >> (i % 4 * 2) & 3) << 8;
            var scale = BlockVectors.Scale(block->scale) * (0.5f + (block->scales[i / 4] >> (i % 4 / 2 * 4) & 0xF)) * 0.25f;
            Grids.IQ2_S.Store(entry, block->signs[i], scale, values);
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ3_XXS : IGgufBlock<IQ3_XXS>
{
    private Half scale;
    private fixed byte quants[64];
    private fixed uint signsAndScales[8];

    public static GgufTensorType Type => GgufTensorType.IQ3_XXS;

    public static int Elements => 256;

    public static void Dequantise(IQ3_XXS* block, float* values)
    {
        for (var group = 0; group < 8; group++)
        {
            var packed = block->signsAndScales[group];
            var scale = BlockVectors.Scale(block->scale) * (0.5f + (packed >> 28)) * 0.5f;
            var quants = block->quants + (group * 8);
            for (var i = 0; i < 4; i++, values += 8)
            {
                var signs = Grids.EvenSigns(packed >> (7 * i));
                Grids.IQ3_XXS.Store(quants[2 * i], signs, scale, values);
                Grids.IQ3_XXS.Store(quants[(2 * i) + 1], signs >> 4, scale, values + 4);
            }
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ3_S : IGgufBlock<IQ3_S>
{
    private Half scale;
    private fixed byte quants[64];
    private fixed byte high[8];
    private fixed byte signs[32];
    private fixed byte scales[4];

    public static GgufTensorType Type => GgufTensorType.IQ3_S;

    public static int Elements => 256;

    public static void Dequantise(IQ3_S* block, float* values)
    {
        for (var i = 0; i < 64; i++, values += 4)
        {
            var group = i / 8;
            var entry = block->quants[i] | (block->high[group] >> (i % 8) & 1) << 8;
            var scale = BlockVectors.Scale(block->scale) * (1 + (2 * (block->scales[group / 2] >> (group % 2 * 4) & 0xF)));
            Grids.IQ3_S.Store(entry, block->signs[i / 2] >> (i % 2 * 4), scale, values);
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ1_S : IGgufBlock<IQ1_S>
{
    private Half scale;
    private fixed byte quants[32];
    private fixed ushort high[8];

    public static GgufTensorType Type => GgufTensorType.IQ1_S;

    public static int Elements => 256;

    public static void Dequantise(IQ1_S* block, float* values)
    {
        for (var i = 0; i < 32; i++, values += 8)
        {
            // Four times three bits of entries of eight, three of a scale, one of a shift.
            var packed = block->high[i / 4];
            var scale = BlockVectors.Scale(block->scale) * ((2 * (packed >> 12 & 7)) + 1);
            Grids.IQ1.StoreShifted(block->quants[i] | (packed >> (i % 4 * 3) & 7) << 8, (packed & 0x8000) != 0, scale, values);
        }
    }
}

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct IQ1_M : IGgufBlock<IQ1_M>
{
    private fixed byte quants[32];
    private fixed byte high[16];
    private fixed ushort scales[4];

    public static GgufTensorType Type => GgufTensorType.IQ1_M;

    public static int Elements => 256;

    public static void Dequantise(IQ1_M* block, float* values)
    {
        // The block's scale is in the highest four bits of the four numbers, below them are four scales of three bits each.
        var scales = block->scales;
        var blockScale = (float)BitConverter.UInt16BitsToHalf((ushort)(scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12));
        for (var i = 0; i < 32; i++, values += 8)
        {
            var scale = blockScale * ((2 * (scales[i / 8] >> (i % 8 / 2 * 3) & 7)) + 1);
            var packed = block->high[i / 2] >> (i % 2 * 4);
            Grids.IQ1.StoreShifted(block->quants[i] | (packed & 7) << 8, (packed & 8) != 0, scale, values);
        }
    }
}
