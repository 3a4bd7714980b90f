using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Autograd;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>y = silu(gate) · up in one pass. Backward: d up = dy silu(gate), d gate = dy up σ (1 + gate (1 − σ)), σ = sigmoid(gate).</summary>
internal sealed class GatedCall(Tensor gate, Tensor up) : AdapterCall
{
    private Tensor? gate = gate;
    private Tensor? up = up;

    public override IReadOnlyList<Tensor?> Inputs => [gate, up];

    /// <summary>silu(<paramref name="gate"/>) · <paramref name="up"/>, both (…, n).</summary>
    public static Tensor Run(Tensor gate, Tensor up)
    {
        if (Lanes.Fit(gate, gate.shape[^1]) && up.dtype == gate.dtype) return AdapterFunction.Run(new GatedCall(gate, up));
        using var activated = nn.functional.silu(gate);
        return activated * up;
    }

    public override Tensor Forward()
    {
        var y = empty(gate!.shape, dtype: gate.dtype);
        var size = gate.shape[^1];
        var (g, u, target) = (Lanes.Open(gate.contiguous(), size), Lanes.Open(up!.contiguous(), size), Lanes.Open(y, size));
        if (gate.dtype == ScalarType.Float32) KernelRows.Run(g.Rows, size, new ForwardKernel<float>(g, u, target));
        else KernelRows.Run(g.Rows, size, new ForwardKernel<ushort>(g, u, target));
        Save(gate);
        Save(up);
        return y;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var (savedGate, savedUp) = (saved[0]!, saved[1]!);
        var size = savedGate.shape[^1];
        var (g, u, dy) = (Lanes.Open(savedGate.contiguous(), size), Lanes.Open(savedUp.contiguous(), size), Lanes.Open(gradOutput.contiguous(), size));
        var (gradGate, gradUp) = (empty(savedGate.shape, dtype: savedGate.dtype), empty(savedUp.shape, dtype: savedUp.dtype));
        var (dg, du) = (Lanes.Open(gradGate, size), Lanes.Open(gradUp, size));
        if (savedGate.dtype == ScalarType.Float32) KernelRows.Run(g.Rows, size, new BackwardKernel<float>(g, u, dy, dg, du));
        else KernelRows.Run(g.Rows, size, new BackwardKernel<ushort>(g, u, dy, dg, du));
        return [Needs[0] ? gradGate : null, Needs[1] ? gradUp : null];
    }

    internal override void ReleaseInputs() => (gate, up) = (null, null);

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
