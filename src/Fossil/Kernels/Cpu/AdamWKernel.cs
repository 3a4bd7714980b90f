using System.Numerics;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>AdamW for float32 that lies without gaps.</summary>
internal sealed class AdamWKernel : IAdamW
{
    /// <summary>Elements that one thread updates at a time: four arrays of them fit into a core's first two caches.</summary>
    private const int BlockSize = 1 << 13;

    public unsafe bool TryStep(in KernelMatrix parameter, in KernelMatrix gradient, in KernelMatrix firstMoment, in KernelMatrix secondMoment, in AdamWCoefficients coefficients)
    {
        if (!parameter.IsPlain(ScalarType.Float32) || !gradient.IsPlain(ScalarType.Float32) || !firstMoment.IsPlain(ScalarType.Float32) || !secondMoment.IsPlain(ScalarType.Float32)) return false;
        var count = parameter.Rows * parameter.Columns;
        KernelRows.Run((count + BlockSize - 1) / BlockSize, BlockSize,
            new Blocks((float*)parameter.Address, (float*)gradient.Address, (float*)firstMoment.Address, (float*)secondMoment.Address, count, coefficients));
        return true;
    }

    /// <summary>The parameter in blocks; each element is for itself, so the blocks change no number.</summary>
    private readonly unsafe struct Blocks(float* parameter, float* gradient, float* first, float* second, long count, AdamWCoefficients coefficients) : IRowKernel
    {
        public void Run(long start, long end)
        {
            var offset = start * BlockSize;
            var length = (int)(Math.Min(end * BlockSize, count) - offset);
            StepInMemory(new(parameter + offset, length), new(gradient + offset, length), new(first + offset, length), new(second + offset, length), coefficients);
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (offset, length) = (row * BlockSize, Math.Min(BlockSize, count - (row * BlockSize)));
            writes.Add(parameter + offset, length);
            writes.Add(first + offset, length);
            writes.Add(second + offset, length);
        }
    }

    /// <summary>The same roundings in the same order as libtorch's operations, so both ways give the same numbers.</summary>
    private static void StepInMemory(Span<float> parameter, ReadOnlySpan<float> gradient, Span<float> first, Span<float> second, in AdamWCoefficients c)
    {
        float decay = (float)c.Decay, beta1 = (float)c.Beta1, beta2 = (float)c.Beta2, epsilon = (float)c.Epsilon;
        float rest1 = (float)(1 - c.Beta1), rest2 = (float)(1 - c.Beta2), root = (float)c.SecondMomentRoot, negativeStep = (float)-c.StepSize;

        var p = MemoryMarshal.Cast<float, Vector<float>>(parameter);
        var g = MemoryMarshal.Cast<float, Vector<float>>(gradient);
        var m = MemoryMarshal.Cast<float, Vector<float>>(first);
        var v = MemoryMarshal.Cast<float, Vector<float>>(second);
        Vector<float> vectorRest1 = new(rest1), vectorRoot = new(root), vectorEpsilon = new(epsilon);
        for (var i = 0; i < p.Length; i++)
        {
            var moment = Vector.FusedMultiplyAdd(g[i], vectorRest1, m[i] * beta1);
            var variance = Vector.FusedMultiplyAdd(g[i] * rest2, g[i], v[i] * beta2);
            m[i] = moment;
            v[i] = variance;
            p[i] = p[i] * decay + moment * negativeStep / (Vector.SquareRoot(variance) / vectorRoot + vectorEpsilon);
        }

        for (var i = p.Length * Vector<float>.Count; i < parameter.Length; i++)
        {
            var moment = MathF.FusedMultiplyAdd(gradient[i], rest1, first[i] * beta1);
            var variance = MathF.FusedMultiplyAdd(gradient[i] * rest2, gradient[i], second[i] * beta2);
            first[i] = moment;
            second[i] = variance;
            parameter[i] = parameter[i] * decay + moment * negativeStep / (MathF.Sqrt(variance) / root + epsilon);
        }
    }
}
