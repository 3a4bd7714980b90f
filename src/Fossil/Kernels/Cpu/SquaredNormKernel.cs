using System.Numerics;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Σ x² of float32 that lies without gaps, at most 2 GB, on the calling thread.</summary>
internal sealed class SquaredNormKernel : ISquaredNorm
{
    public unsafe bool TryRun(in KernelMatrix values, out double squaredNorm)
    {
        squaredNorm = 0;
        if (!values.IsPlain(ScalarType.Float32) || values.Rows * values.Columns > int.MaxValue / sizeof(float)) return false;
        var elements = new Span<float>((void*)values.Address, (int)(values.Rows * values.Columns));
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(elements);
        Vector<double> low = Vector<double>.Zero, high = Vector<double>.Zero;
        foreach (var vector in vectors)
        {
            Vector.Widen(vector, out var first, out var second);
            low += first * first;
            high += second * second;
        }

        squaredNorm = Vector.Sum(low + high);
        foreach (var element in elements[(vectors.Length * Vector<float>.Count)..]) squaredNorm += (double)element * element;
        return true;
    }
}
