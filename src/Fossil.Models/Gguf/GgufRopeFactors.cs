using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>
/// The tensor of a GGUF file by whose elements the rotary frequencies are divided. llama.cpp writes Llama 3.1's stretching in that form;
/// reading it back needs the parameters that the elements follow from.
/// </summary>
internal static class GgufRopeFactors
{
    /// <summary>The tensor's name.</summary>
    public const string TensorName = "rope_freqs.weight";

    private const double Tolerance = 1e-4;

    /// <summary>The factors of the parameters: 1 for frequencies that are kept, <see cref="RopeParameters.Factor"/> for low ones.</summary>
    public static float[] Compute(RopeParameters rope, int headDim)
    {
        var factors = new float[headDim / 2];
        for (var i = 0; i < factors.Length; i++)
        {
            var turns = rope.OriginalMaxPositionEmbeddings / Wavelength(rope.Theta, headDim, i);
            var smooth = Math.Clamp((turns - rope.LowFrequencyFactor) / (rope.HighFrequencyFactor - rope.LowFrequencyFactor), 0, 1);
            factors[i] = (float)(1 / (((1 - smooth) / rope.Factor) + smooth));
        }

        return factors;
    }

    /// <summary>The parameters that a file's factors follow from.</summary>
    /// <exception cref="GgufException">They do not have Llama 3.1's form.</exception>
    public static RopeParameters Read(GgufFile file, double theta, int headDim)
    {
        using var tensor = file.Load(TensorName, ScalarType.Float32);
        var factors = tensor.data<float>().ToArray();
        if (factors.Length != headDim / 2) throw new GgufException(GgufError.ShapeMismatch, file.Path, $"{TensorName} has {factors.Length} elements for heads of {headDim} dimensions.");
        foreach (var candidate in Candidates(factors, theta, headDim))
        {
            if (Compute(candidate, headDim).Zip(factors).All(pair => Math.Abs(pair.First - pair.Second) <= Tolerance * Math.Abs(pair.Second))) return candidate;
        }

        throw new GgufException(GgufError.UnsupportedModel, file.Path, $"{TensorName} does not stretch rotary positions as Llama 3.1 does; this decoder knows no other such stretching.");
    }

    private static IEnumerable<RopeParameters> Candidates(float[] factors, double theta, int headDim)
    {
        var largest = factors.Max();
        var plain = new RopeParameters { Theta = theta };
        if (largest == 1) yield return plain;
        var stretched = plain with { Type = RopeType.Llama3, Factor = Math.Round(largest, 4) };

        // Llama 3.1, 3.2 and 3.3 have all been trained on 8192 tokens first.
        yield return stretched;
        var between = Enumerable.Range(0, factors.Length).Where(i => factors[i] > 1 + Tolerance && factors[i] < largest - Tolerance).ToArray();
        // Between the two plateaus the share of the kept frequency grows linearly with the turns in the original length. Only the ratios of
        // the three parameters show, so the lowest is taken as 1.
        double Share(int i) => ((1 / factors[i]) - (1 / largest)) / (1 - (1 / largest));
        double Inverse(int i) => 1 / Wavelength(theta, headDim, i);
        if (between.Length >= 2)
        {
            var (first, last) = (between[0], between[^1]);
            var slope = (Share(first) - Share(last)) / (Inverse(first) - Inverse(last));
            var high = 1 - (1 / (Share(first) - (slope * Inverse(first))));
            var original = slope * (high - 1);
            if (double.IsFinite(original) && original is >= 1 and < int.MaxValue) yield return stretched with { HighFrequencyFactor = Math.Round(high, 3), OriginalMaxPositionEmbeddings = (int)Math.Round(original) };
        }
        else if (between is [var only])
        {
            // Many lengths give the same factors: a power of two as models have, else the shortest, which keeps what is kept.
            var shortest = Math.Clamp((int)Math.Floor(1 / Inverse(only)) + 1, 1, int.MaxValue);
            foreach (var original in Enumerable.Range(0, 31).Select(power => 1 << power).Where(length => length >= shortest).Append(shortest))
            {
                yield return stretched with { HighFrequencyFactor = Math.Round(1 + (((original * Inverse(only)) - 1) / Share(only)), 6), OriginalMaxPositionEmbeddings = original };
            }
        }

        // Without anything between them, every length that parts the plateaus gives the same factors.
        var kept = Array.FindLastIndex(factors, factor => factor <= 1 + Tolerance);
        if (kept >= 0 && kept + 1 < factors.Length)
        {
            var (shorter, longer) = (Wavelength(theta, headDim, kept), Wavelength(theta, headDim, kept + 1));
            var original = Math.Clamp(Math.Floor(longer), 1, int.MaxValue);
            yield return stretched with { OriginalMaxPositionEmbeddings = (int)original, HighFrequencyFactor = Math.Min(4, Math.Max(1.0001, original / shorter)) };
        }
    }

    private static double Wavelength(double theta, int headDim, int index) => 2 * Math.PI * Math.Pow(theta, 2.0 * index / headDim);
}
