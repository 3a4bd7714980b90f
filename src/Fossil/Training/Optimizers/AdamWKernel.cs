using System.Numerics;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>One AdamW update of one parameter: a single pass over memory for float32 on the CPU, libtorch's operations elsewhere.</summary>
internal static class AdamWKernel
{
    /// <summary>Elements that one thread updates at a time: four arrays of them fit into a core's first two caches.</summary>
    private const int BlockSize = 1 << 13;

    /// <summary>What is the same for every element of one step.</summary>
    internal readonly record struct Coefficients(double LearningRate, double Beta1, double Beta2, double Epsilon, double WeightDecay, long Step)
    {
        public double Decay => 1 - LearningRate * WeightDecay;
        public double StepSize => LearningRate / (1 - Math.Pow(Beta1, Step));
        public double SecondMomentRoot => Math.Sqrt(1 - Math.Pow(Beta2, Step));
    }

    /// <summary>Updates <paramref name="parameter"/> and both moments in place.</summary>
    public static unsafe void Step(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, in Coefficients coefficients)
    {
        if (FloatMemory.IsAvailable(parameter) && FloatMemory.IsAvailable(gradient))
        {
            var count = parameter.numel();
            KernelRows.Run((count + BlockSize - 1) / BlockSize, BlockSize,
                new Blocks(FloatMemory.Open(parameter), FloatMemory.Open(gradient), FloatMemory.Open(firstMoment), FloatMemory.Open(secondMoment), count, coefficients));
        }
        else
        {
            StepByOperations(parameter, gradient, firstMoment, secondMoment, coefficients);
        }
    }

    /// <summary>The parameter in blocks; each element is for itself, so the blocks change no number.</summary>
    private readonly unsafe struct Blocks(float* parameter, float* gradient, float* first, float* second, long count, Coefficients coefficients) : IRowKernel
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

    /// <summary>The same roundings in the same order as libtorch's operations below, so both ways give the same numbers.</summary>
    private static void StepInMemory(Span<float> parameter, ReadOnlySpan<float> gradient, Span<float> first, Span<float> second, in Coefficients c)
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

    private static void StepByOperations(Tensor parameter, Tensor gradient, Tensor first, Tensor second, in Coefficients c)
    {
        using var scope = NewDisposeScope();
        parameter.mul_(Scalars.Of(c.Decay));
        first.mul_(Scalars.Of(c.Beta1)).add_(gradient, alpha: Scalars.Of(1 - c.Beta1));
        second.mul_(Scalars.Of(c.Beta2)).addcmul_(gradient, gradient, value: Scalars.Of(1 - c.Beta2));
        var denominator = second.sqrt().div_(Scalars.Of(c.SecondMomentRoot)).add_(Scalars.Of(c.Epsilon), Scalars.One);
        parameter.addcdiv_(first, denominator, value: Scalars.Of(-c.StepSize));
    }
}
