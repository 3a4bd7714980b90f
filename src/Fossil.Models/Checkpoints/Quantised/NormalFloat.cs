using Fossil.Adapters;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>Quantises to bitsandbytes' nf4 with double quantisation, as it does.</summary>
internal static class NormalFloat
{
    /// <summary>Elements of a block.</summary>
    public const int BlockSize = 64;

    private const int CodesOfScale = 256;

    // Rows that are quantised at a time: bounds what is held beside the weight.
    private const long QuantisedRows = 256;

    /// <summary>The quantiles of a normal distribution that the sixteen codes stand for.</summary>
    public static readonly float[] Values =
    [
        -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1,
    ];

    /// <summary>The numbers of a sign, an exponent to the base ten and a fraction that the codes of scales stand for.</summary>
    public static readonly float[] ScaleValues = DynamicMap();

    /// <summary>Quantises a weight, whose width is a multiple of <see cref="BlockSize"/>.</summary>
    public static FourBitWeight Quantise(LinearWeight weight)
    {
        using var noGrad = no_grad();
        var codes = empty(weight.OutFeatures * weight.InFeatures / 2, dtype: ScalarType.Byte);
        var scales = new float[weight.OutFeatures * weight.InFeatures / BlockSize];
        foreach (var tile in RowRange.Pieces(weight.OutFeatures, QuantisedRows))
        {
            using var scope = NewDisposeScope();
            var values = weight.Rows(tile.Start, tile.Count).to(ScalarType.Float32).cpu().contiguous().view(-1).data<float>().ToArray();
            var (firstBlock, packed) = (tile.Start * weight.InFeatures / BlockSize, new byte[values.Length / 2]);
            Parallel.For(0, values.Length / BlockSize, block => scales[firstBlock + block] = Quantise(values.AsSpan(block * BlockSize, BlockSize), packed.AsSpan(block * BlockSize / 2, BlockSize / 2)));
            packed.CopyTo(codes.narrow(0, firstBlock * BlockSize / 2, packed.Length).bytes);
        }

        var layout = new FourBitLayout(weight.OutFeatures, weight.InFeatures, Values, QuantiseScales(scales), BlockSize, weight.Dtype);
        return new FourBitWeight(codes.to(weight.Device), empty(0, dtype: weight.Dtype, device: weight.Device), layout);
    }

    private static float Quantise(ReadOnlySpan<float> values, Span<byte> packed)
    {
        var largest = 0f;
        foreach (var value in values) largest = MathF.Max(largest, MathF.Abs(value));
        for (var i = 0; i < packed.Length; i++) packed[i] = (byte)(Code(values[2 * i]) << 4 | Code(values[(2 * i) + 1]));
        return largest;

        int Code(float value) => largest == 0 ? Nearest(Values, 0) : Nearest(Values, value / largest);
    }

    private static BlockScales QuantiseScales(float[] scales)
    {
        var offset = (float)scales.Average(scale => (double)scale);
        var largest = new float[(scales.Length + CodesOfScale - 1) / CodesOfScale];
        for (var i = 0; i < scales.Length; i++) largest[i / CodesOfScale] = MathF.Max(largest[i / CodesOfScale], MathF.Abs(scales[i] - offset));
        var codes = new byte[scales.Length];
        for (var i = 0; i < codes.Length; i++)
        {
            var scale = largest[i / CodesOfScale];
            codes[i] = (byte)Nearest(ScaleValues, scale == 0 ? 0 : (scales[i] - offset) / scale);
        }

        return new BlockScales(codes, ScaleValues, largest, CodesOfScale, offset);
    }

    /// <summary>The code of the nearest of ascending values, the lower of two.</summary>
    private static int Nearest(float[] values, float value)
    {
        var above = Array.BinarySearch(values, value);
        if (above >= 0) return above;
        above = ~above;
        return above == 0 ? 0 : above == values.Length || value - values[above - 1] <= values[above] - value ? above - 1 : above;
    }

    private static float[] DynamicMap()
    {
        const int Exponents = 7;
        List<float> values = [0, 1];
        for (var exponent = 0; exponent < Exponents; exponent++)
        {
            var steps = 1 << exponent;
            var power = Math.Pow(10, exponent - Exponents + 1);
            for (var step = 0; step < steps; step++)
            {
                // In float32, as torch.linspace and the mean of two of its values are.
                float low = Boundary(step, steps), high = Boundary(step + 1, steps);
                var value = (float)(power * ((low + high) / 2));
                values.AddRange([value, -value]);
            }
        }

        values.Sort();
        return [.. values];

        static float Boundary(int step, int steps) => (float)(0.1 + (0.9 * step / steps));
    }
}
