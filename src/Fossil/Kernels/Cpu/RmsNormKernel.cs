using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The norm, each pass over float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>) in one. In float32, forward pass and dx are those of PyTorch's separate operations bit for bit.</summary>
internal sealed class RmsNormKernel<T> : IRmsNorm where T : unmanaged
{
    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % Lanes.Count == 0;

    public void Forward(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix output, in KernelMatrix scales, double eps) =>
        KernelRows.Run(input.Rows, input.Columns, new ForwardKernel(input, weight, output, scales, eps));

    public void InputGradient(in KernelMatrix input, in KernelMatrix weight, in KernelMatrix gradOutput, in KernelMatrix inputGradient, in KernelMatrix scales) =>
        KernelRows.Run(input.Rows, input.Columns, new BackwardKernel(input, weight, gradOutput, inputGradient, scales));

    public void WeightGradient(in KernelMatrix input, in KernelMatrix gradOutput, in KernelMatrix weightGradient, in KernelMatrix scales) =>
        KernelRows.Run(input.Columns / Lanes.Count, input.Rows * Lanes.Count, new WeightKernel(input, gradOutput, weightGradient, scales));

    private readonly struct ForwardKernel(KernelMatrix x, KernelMatrix weight, KernelMatrix y, KernelMatrix scale, double eps) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var size = (nuint)x.Columns;
            ref var w = ref weight.Row<T>(0);
            for (var row = first; row < end; row++)
            {
                ref var source = ref x.Row<T>(row);
                ref var target = ref y.Row<T>(row);
                var s = 1 / MathF.Sqrt((RowSum.Of(new Squares(ref source), size) / size) + (float)eps);
                scale.Row<float>(row) = s;
                for (nuint i = 0; i < size; i += Lanes.Count) Lanes.Store(Lanes.Round<T>(Lanes.Load(ref source, i) * s) * Lanes.Load(ref w, i), ref target, i);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(y, row);
            writes.Add(scale, row);
        }
    }

    private readonly struct BackwardKernel(KernelMatrix x, KernelMatrix weight, KernelMatrix dy, KernelMatrix dx, KernelMatrix scale) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var size = (nuint)x.Columns;
            ref var w = ref weight.Row<T>(0);
            for (var row = first; row < end; row++)
            {
                ref var source = ref x.Row<T>(row);
                ref var gradient = ref dy.Row<T>(row);
                ref var target = ref dx.Row<T>(row);
                var s = scale.Row<float>(row);
                var shrink = -0.5f * RowSum.Of(new Products(ref gradient, ref w, ref source), size) * (s * s * s) / size;
                for (nuint i = 0; i < size; i += Lanes.Count)
                {
                    var direct = Lanes.Load(ref gradient, i) * Lanes.Load(ref w, i) * s;
                    Lanes.Store(direct + (Lanes.Load(ref source, i) * 2f * shrink), ref target, i);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(dx, row);
    }

    private readonly ref struct Squares(ref T x) : IRowTerms
    {
        private readonly ref T x = ref x;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(nuint index)
        {
            var v = Lanes.Load(ref x, index);
            return v * v;
        }
    }

    private readonly ref struct Products(ref T dy, ref T weight, ref T x) : IRowTerms
    {
        private readonly ref T dy = ref dy, weight = ref weight, x = ref x;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(nuint index) => Lanes.Load(ref dy, index) * Lanes.Load(ref weight, index) * Lanes.Load(ref x, index);
    }

    /// <summary>Its "rows" are blocks of sixteen columns.</summary>
    private readonly struct WeightKernel(KernelMatrix x, KernelMatrix dy, KernelMatrix dw, KernelMatrix scale) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var block = first; block < end; block++)
            {
                var column = (nuint)block * Lanes.Count;
                var sum = Vector512<float>.Zero;
                for (long row = 0; row < x.Rows; row++)
                {
                    sum = Vector512.FusedMultiplyAdd(Lanes.Load(ref x.Row<T>(row), column) * scale.Row<float>(row), Lanes.Load(ref dy.Row<T>(row), column), sum);
                }
                Lanes.Store(sum, ref dw.Row<T>(0), column);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(dw, 0, row * Lanes.Count, Lanes.Count);
    }
}
