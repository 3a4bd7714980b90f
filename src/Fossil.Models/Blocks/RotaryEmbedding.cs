using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// The angles by which queries and keys are rotated: cos and sin of position · frequency, (length, head_dim), in float32 whatever the model's dtype, cached on
/// the device last asked for.
/// </summary>
/// <param name="rope">The settings.</param>
/// <param name="size">How many dimensions of a head are rotated.</param>
internal sealed class RotaryEmbedding(RopeParameters rope, int size) : IDisposable
{
    private readonly Lock tables = new();
    private Tensor? cos;
    private Tensor? sin;

    /// <summary>cos and sin of the first positions, (length, head_dim); views that belong to the caller.</summary>
    public (Tensor Cos, Tensor Sin) Get(long length, Device device) => Get(0, length, device);

    /// <summary>cos and sin of the positions from <paramref name="start"/> on, (count, head_dim). They are views that belong to the caller: a longer table may replace this one at any time.</summary>
    public (Tensor Cos, Tensor Sin) Get(long start, long count, Device device)
    {
        lock (tables)
        {
            var length = start + count;
            if (cos is null || cos.shape[0] < length || DevicePlace.Of(cos) != DevicePlace.Of(device))
            {
                Compute(Math.Max(length, cos is null ? 256 : 2 * cos.shape[0]), device);
            }

            return (cos!.narrow(0, start, count), sin!.narrow(0, start, count));
        }
    }

    private void Compute(long length, Device device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var frequencies = tensor(Frequencies(rope, size), device: device);
        var half = outer(arange(Scalars.Zero, Scalars.Of(length), Scalars.One, dtype: float32, device: device), frequencies);
        var angles = torch.cat([half, half], dim: -1);
        var (newCos, newSin) = (angles.cos(), angles.sin());
        Dispose();
        (cos, sin) = (newCos.DetachFromDisposeScope(), newSin.DetachFromDisposeScope());
    }

    /// <summary>The head_dim / 2 frequencies, after stretching.</summary>
    internal static float[] Frequencies(RopeParameters rope, int headDim)
    {
        var frequencies = new float[headDim / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            // float32 throughout: the angles of far positions depend on the last bit, and PyTorch computes it so.
            var frequency = 1f / MathF.Pow((float)rope.Theta, 2f * i / headDim);
            frequencies[i] = rope.Type switch
            {
                RopeType.Linear => frequency / (float)rope.Factor,
                RopeType.Llama3 => Llama3(frequency, rope),
                _ => frequency,
            };
        }
        return frequencies;
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
