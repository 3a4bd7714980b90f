using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The gate in one pass over float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>).</summary>
internal sealed class GateKernel<T> : IGate where T : unmanaged
{
    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % Lanes.Count == 0;

    public void Forward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix output) => KernelRows.Run(gate.Rows, gate.Columns, new ForwardKernel(gate, up, output));

    public void Backward(in KernelMatrix gate, in KernelMatrix up, in KernelMatrix gradOutput, in KernelMatrix gateGradient, in KernelMatrix upGradient) =>
        KernelRows.Run(gate.Rows, gate.Columns, new BackwardKernel(gate, up, gradOutput, gateGradient, upGradient));

    private readonly struct ForwardKernel(KernelMatrix gate, KernelMatrix up, KernelMatrix y) : IRowKernel
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

    private readonly struct BackwardKernel(KernelMatrix gate, KernelMatrix up, KernelMatrix dy, KernelMatrix dGate, KernelMatrix dUp) : IRowKernel
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
