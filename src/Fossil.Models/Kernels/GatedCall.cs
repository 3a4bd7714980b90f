using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Autograd;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>y = silu(gate) · up in one pass. Backward: d up = dy silu(gate), d gate = dy up σ (1 + gate (1 − σ)), σ = sigmoid(gate).</summary>
internal sealed class GatedCall : AdapterCall
{
    private readonly CallInput gate;
    private readonly CallInput up;

    private GatedCall(Tensor gate, Tensor up) => (this.gate, this.up) = (Input(gate), Input(up));

    /// <summary>silu(<paramref name="gate"/>) · <paramref name="up"/>, both (…, n).</summary>
    public static Tensor Run(Tensor gate, Tensor up)
    {
        if (Lanes.Fit(gate, gate.shape[^1]) && up.dtype == gate.dtype) return AdapterFunction.Run(new GatedCall(gate, up));
        using var activated = nn.functional.silu(gate);
        return activated * up;
    }

    public override Tensor Forward()
    {
        var (x, size) = (gate.Value, gate.Value.shape[^1]);
        var y = empty(x.shape, dtype: x.dtype);
        var (g, u, target) = (Lanes.Open(x.contiguous(), size), Lanes.Open(up.Value.contiguous(), size), Lanes.Open(y, size));
        if (x.dtype == ScalarType.Float32) KernelRows.Run(g.Rows, size, new ForwardKernel<float>(g, u, target));
        else KernelRows.Run(g.Rows, size, new ForwardKernel<ushort>(g, u, target));
        Save(gate);
        Save(up);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (x, size) = (gate.Value, gate.Value.shape[^1]);
        var (g, u, dy) = (Lanes.Open(x.contiguous(), size), Lanes.Open(up.Value.contiguous(), size), Lanes.Open(gradOutput.contiguous(), size));
        var (gradGate, gradUp) = (empty(x.shape, dtype: x.dtype), empty(x.shape, dtype: x.dtype));
        var (dg, du) = (Lanes.Open(gradGate, size), Lanes.Open(gradUp, size));
        if (x.dtype == ScalarType.Float32) KernelRows.Run(g.Rows, size, new BackwardKernel<float>(g, u, dy, dg, du));
        else KernelRows.Run(g.Rows, size, new BackwardKernel<ushort>(g, u, dy, dg, du));
        if (gate.NeedsGradient) gate.Gradient = gradGate;
        if (up.NeedsGradient) up.Gradient = gradUp;
    }

    private readonly struct ForwardKernel<T>(KernelMatrix gate, KernelMatrix up, KernelMatrix y) : IRowKernel where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                ref var g = ref gate.Row<T>(row);
                ref var u = ref up.Row<T>(row);
                ref var target = ref y.Row<T>(row);
                for (nuint i = 0; i < (nuint)gate.Columns; i += Lanes.Count)
                {
                    var v = Lanes.Load(ref g, i);
                    Lanes.Store(Lanes.Round<T>(Lanes.Silu(v)) * Lanes.Load(ref u, i), ref target, i);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(y, row);
    }

    private readonly struct BackwardKernel<T>(KernelMatrix gate, KernelMatrix up, KernelMatrix dy, KernelMatrix dGate, KernelMatrix dUp) : IRowKernel where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                ref var g = ref gate.Row<T>(row);
                ref var u = ref up.Row<T>(row);
                ref var gradient = ref dy.Row<T>(row);
                ref var targetGate = ref dGate.Row<T>(row);
                ref var targetUp = ref dUp.Row<T>(row);
                for (nuint i = 0; i < (nuint)gate.Columns; i += Lanes.Count)
                {
                    var (v, d) = (Lanes.Load(ref g, i), Lanes.Load(ref gradient, i));
                    var denominator = Vector512<float>.One + Lanes.Exp(-v);
                    var sigmoid = Vector512<float>.One / denominator;
                    Lanes.Store(d * (v / denominator), ref targetUp, i);
                    Lanes.Store(d * Lanes.Load(ref u, i) * sigmoid * Vector512.FusedMultiplyAdd(v, Vector512<float>.One - sigmoid, Vector512<float>.One), ref targetGate, i);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(dGate, row);
            writes.Add(dUp, row);
        }
    }
}
