using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// y = x · s · w with s = 1 / sqrt(mean(x²) + eps) for each row, in one pass; keeps x and s.
/// Backward: dx = s (dy w − x s² mean(dy w x)), dw = Σ dy x s. In float32, forward pass and dx are those of PyTorch's separate operations bit for bit.
/// </summary>
internal sealed class RmsNormCall : AdapterCall
{
    private readonly CallInput x;
    private readonly CallInput weight;
    private readonly long size;
    private readonly double eps;
    private CallTensor? scales;

    private RmsNormCall(Tensor x, Tensor weight, double eps) => (this.x, this.weight, size, this.eps) = (Input(x), Input(weight), weight.shape[0], eps);

    /// <summary>The norm of each row of <paramref name="x"/> (…, n), weighted by <paramref name="weight"/> (n).</summary>
    public static Tensor Run(Tensor x, Tensor weight, double eps)
    {
        if (Lanes.Fit(x, weight.shape[0]) && weight.dtype == x.dtype) return AdapterFunction.Run(new RmsNormCall(x, weight, eps));

        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        var normed = wide * wide.pow(Scalars.Two).mean([-1], keepdim: true).add(Scalars.Of(eps), Scalars.One).rsqrt();
        return (normed.to(x.dtype) * weight).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var input = x.Value;
        var rows = input.contiguous();
        var y = empty(input.shape, dtype: input.dtype);
        scales = SaveOwned(empty(rows.numel() / size, 1, dtype: ScalarType.Float32));
        var (source, target, weights) = (Lanes.Open(rows, size), Lanes.Open(y, size), Lanes.Open(weight.Value, size));
        if (!KernelMatrix.TryOpen(scales.Value, out var scale)) throw new InvalidOperationException("A new float32 tensor cannot be opened.");
        if (input.dtype == ScalarType.Float32) KernelRows.Run(source.Rows, size, new ForwardKernel<float>(source, weights, target, scale, eps));
        else KernelRows.Run(source.Rows, size, new ForwardKernel<ushort>(source, weights, target, scale, eps));
        Save(x);
        Save(weight);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        if (x.Value.dtype == ScalarType.Float32) Backward<float>(gradOutput);
        else Backward<ushort>(gradOutput);
    }

    private void Backward<T>(Tensor gradOutput) where T : unmanaged
    {
        var (input, weights) = (x.Value, Lanes.Open(weight.Value, size));
        var (source, dy) = (Lanes.Open(input.contiguous(), size), Lanes.Open(gradOutput.contiguous(), size));
        if (!KernelMatrix.TryOpen(scales!.Value, out var scale)) throw new InvalidOperationException("A saved float32 tensor cannot be opened.");
        if (x.NeedsGradient)
        {
            var gradient = empty(input.shape, dtype: input.dtype);
            KernelRows.Run(source.Rows, size, new BackwardKernel<T>(source, weights, dy, Lanes.Open(gradient, size), scale));
            x.Gradient = gradient;
        }
        if (weight.NeedsGradient)
        {
            var gradient = empty(size, dtype: input.dtype);
            KernelRows.Run(size / Lanes.Count, source.Rows * Lanes.Count, new WeightKernel<T>(source, dy, Lanes.Open(gradient, size), scale));
            weight.Gradient = gradient;
        }
    }

    private readonly struct ForwardKernel<T>(KernelMatrix x, KernelMatrix weight, KernelMatrix y, KernelMatrix scale, double eps) : IRowKernel where T : unmanaged
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
                var s = 1 / MathF.Sqrt((RowSum.Of(new Squares<T>(ref source), size) / size) + (float)eps);
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

    private readonly struct BackwardKernel<T>(KernelMatrix x, KernelMatrix weight, KernelMatrix dy, KernelMatrix dx, KernelMatrix scale) : IRowKernel where T : unmanaged
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
                var shrink = -0.5f * RowSum.Of(new Products<T>(ref gradient, ref w, ref source), size) * (s * s * s) / size;
                for (nuint i = 0; i < size; i += Lanes.Count)
                {
                    var direct = Lanes.Load(ref gradient, i) * Lanes.Load(ref w, i) * s;
                    Lanes.Store(direct + (Lanes.Load(ref source, i) * 2f * shrink), ref target, i);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(dx, row);
    }

    private readonly ref struct Squares<T>(ref T x) : IRowTerms where T : unmanaged
    {
        private readonly ref T x = ref x;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(nuint index)
        {
            var v = Lanes.Load(ref x, index);
            return v * v;
        }
    }

    private readonly ref struct Products<T>(ref T dy, ref T weight, ref T x) : IRowTerms where T : unmanaged
    {
        private readonly ref T dy = ref dy, weight = ref weight, x = ref x;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(nuint index) => Lanes.Load(ref dy, index) * Lanes.Load(ref weight, index) * Lanes.Load(ref x, index);
    }

    /// <summary>Its "rows" are blocks of sixteen columns.</summary>
    private readonly struct WeightKernel<T>(KernelMatrix x, KernelMatrix dy, KernelMatrix dw, KernelMatrix scale) : IRowKernel where T : unmanaged
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
