using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// The angles by which queries and keys are rotated: cos and sin of position · frequency, (length, rotated dimensions), in float32 whatever the model's dtype, cached on
/// the device last asked for.
/// </summary>
/// <param name="rope">The settings.</param>
/// <param name="size">How many dimensions of a head are rotated.</param>
internal sealed class RotaryEmbedding(RopeParameters rope, int size) : IDisposable
{
    private readonly Lock tables = new();
    private long key;
    private Tensor? cos;
    private Tensor? sin;

    /// <summary>cos and sin of the first positions, (length, rotated dimensions); views that belong to the caller.</summary>
    public (Tensor Cos, Tensor Sin) Get(long length, Device device) => Get(0, length, device);

    /// <summary>
    /// cos and sin of the positions from <paramref name="start"/> on in sequences that end with them, (count, rotated dimensions). They are views that belong to the caller: a longer table may replace
    /// this one at any time.
    /// </summary>
    public (Tensor Cos, Tensor Sin) Get(long start, long count, Device device) => Get(start, count, rope.LengthKey(start + count), device);

    /// <summary>cos and sin of positions, (batch · tokens, rotated dimensions).</summary>
    /// <param name="positions">Positions (batch, tokens), int64, all below <paramref name="most"/>.</param>
    /// <param name="lengths">Makes the lengths of their sequences, (batch, tokens) or (batch, 1), int64, where the angles depend on them.</param>
    /// <param name="most">A length that none exceeds.</param>
    public (Tensor Cos, Tensor Sin) At(Tensor positions, Func<Tensor> lengths, long most)
    {
        var (flat, device) = (positions.flatten(), positions.device);
        if (!rope.DependsOnLength) return Select(flat, 0);

        var keys = lengths().expand(positions.shape).flatten().cpu().data<long>().Select(rope.LengthKey).ToArray();
        var (result, first) = (Select(flat, keys[0]), keys[0]);
        foreach (var other in keys.Distinct().Where(other => other != first))
        {
            var isOther = tensor(keys.Select(k => k == other).ToArray(), device: device).unsqueeze(1);
            var (otherCos, otherSin) = Select(flat, other);
            result = (where(isOther, otherCos, result.Cos), where(isOther, otherSin, result.Sin));
        }
        return result;

        (Tensor Cos, Tensor Sin) Select(Tensor rows, long lengthKey)
        {
            var (all, allSin) = Get(0, most, lengthKey, device);
            return (all.index_select(0, rows), allSin.index_select(0, rows));
        }
    }

    private (Tensor Cos, Tensor Sin) Get(long start, long count, long lengthKey, Device device)
    {
        lock (tables)
        {
            var length = start + count;
            if (cos is null || key != lengthKey || cos.size(0) < length || DevicePlace.Of(cos) != DevicePlace.Of(device))
            {
                Compute(cos is null ? Math.Max(length, 256) : cos.size(0) < length ? Math.Max(length, 2 * cos.size(0)) : cos.size(0), lengthKey, device);
            }

            return (cos!.narrow(0, start, count), sin!.narrow(0, start, count));
        }
    }

    private void Compute(long length, long lengthKey, Device device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var frequencies = tensor(Frequencies(rope, size, lengthKey), device: device);
        var half = outer(arange(Scalars.Zero, Scalars.Of(length), Scalars.One, dtype: float32, device: device), frequencies);
        var angles = torch.cat([half, half], dim: -1);
        var (newCos, newSin) = (angles.cos(), angles.sin());
        if (rope.Scaling != 1) (newCos, newSin) = (newCos.mul(Scalars.Of(rope.Scaling)), newSin.mul(Scalars.Of(rope.Scaling)));
        Dispose();
        (key, cos, sin) = (lengthKey, newCos.DetachFromDisposeScope(), newSin.DetachFromDisposeScope());
    }

    /// <summary>The frequencies of pairs of dimensions, after stretching.</summary>
    /// <param name="rope">The settings.</param>
    /// <param name="size">How many dimensions of a head are rotated: twice as many as there are frequencies.</param>
    /// <param name="lengthKey">The sequence's <see cref="RopeParameters.LengthKey"/>.</param>
    internal static float[] Frequencies(RopeParameters rope, int size, long lengthKey = 0)
    {
        var frequencies = new float[size / 2];
        var theta = rope.Type == RopeType.Dynamic ? DynamicTheta(rope, size, lengthKey) : rope.Theta;
        for (var i = 0; i < frequencies.Length; i++)
        {
            // float32 throughout: the angles of far positions depend on the last bit, and PyTorch computes it so.
            var wavelength = MathF.Pow((float)theta, 2f * i / size);
            frequencies[i] = rope.Type switch
            {
                RopeType.Linear => 1 / wavelength / (float)rope.Factor,
                RopeType.Llama3 => Llama3(1 / wavelength, rope),
                RopeType.Yarn => Yarn(wavelength, i, rope, size),
                RopeType.LongRope => 1 / ((float)(lengthKey == 0 ? rope.ShortFactors : rope.LongFactors)[i] * wavelength),
                _ => 1 / wavelength,
            };
        }
        return frequencies;
    }

    private static double DynamicTheta(RopeParameters rope, int size, long lengthKey)
    {
        var length = (double)Math.Max(lengthKey, rope.OriginalMaxPositionEmbeddings);
        return rope.Theta * Math.Pow((rope.Factor * length / rope.OriginalMaxPositionEmbeddings) - (rope.Factor - 1), size / (size - 2.0));
    }

    private static float Yarn(float wavelength, int index, RopeParameters rope, int size)
    {
        var (first, last) = (IndexOf(rope.BetaFast), IndexOf(rope.BetaSlow));
        if (rope.Truncate) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, size - 1));
        var divided = Math.Clamp((index - (float)first) / (float)(first == last ? 0.001 : last - first), 0, 1);
        return (1 / ((float)rope.Factor * wavelength) * divided) + (1 / wavelength * (1 - divided));

        // Where in the series a frequency has so many turns in the original length.
        double IndexOf(double turns) => size * Math.Log(rope.OriginalMaxPositionEmbeddings / (turns * 2 * Math.PI)) / (2 * Math.Log(rope.Theta));
    }

    private static float Llama3(float frequency, RopeParameters rope)
    {
        var wavelength = 2 * MathF.PI / frequency;
        var longest = rope.OriginalMaxPositionEmbeddings / rope.LowFrequencyFactor;
        var shortest = rope.OriginalMaxPositionEmbeddings / rope.HighFrequencyFactor;
        if (wavelength < shortest) return frequency;
        if (wavelength > longest) return frequency / (float)rope.Factor;
        var smooth = (float)((rope.OriginalMaxPositionEmbeddings / wavelength - rope.LowFrequencyFactor) / (rope.HighFrequencyFactor - rope.LowFrequencyFactor));
        return (1 - smooth) * frequency / (float)rope.Factor + smooth * frequency;
    }

    public void Dispose()
    {
        lock (tables)
        {
            cos?.Dispose();
            sin?.Dispose();
            (cos, sin) = (null, null);
        }
    }
}
