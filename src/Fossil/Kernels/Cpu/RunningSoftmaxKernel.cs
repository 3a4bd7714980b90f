using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The running softmax of float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>), a row at a time.</summary>
internal sealed class RunningSoftmaxKernel<T> : IRunningSoftmax where T : unmanaged
{
    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % Lanes.Count == 0;

    public void Run(in KernelMatrix logits, in KernelMatrix state, long[] targets, long firstColumn, bool keep) =>
        KernelRows.Run(logits.Rows, logits.Columns, new Kernel(logits, state, targets, firstColumn, keep));

    private readonly struct Kernel(KernelMatrix logits, KernelMatrix state, long[] targets, long firstColumn, bool keep) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                ref var x = ref logits.Row<T>(row);
                ref var known = ref state.Row<float>(row);
                var size = (nuint)logits.Columns;
                if (targets[row] < 0)
                {
                    if (keep) for (nuint i = 0; i < size; i += Lanes.Count) Lanes.Store(Vector512<float>.Zero, ref x, i);
                    continue;
                }

                if (targets[row] - firstColumn is >= 0 and var target && target < logits.Columns) Unsafe.Add(ref known, IRunningSoftmax.Target) = Lanes.Element(ref x, (nuint)target);
                var largest = Vector512.Create(Unsafe.Add(ref known, IRunningSoftmax.Largest));
                for (nuint i = 0; i < size; i += Lanes.Count) largest = Vector512.Max(largest, Lanes.Load(ref x, i));
                var max = Lanes.Max(largest);
                var factor = MathF.Exp(Unsafe.Add(ref known, IRunningSoftmax.Largest) - max);
                var sums = Vector512.LoadUnsafe(ref known, IRunningSoftmax.Sums) * factor;
                for (nuint i = 0; i < size; i += Lanes.Count)
                {
                    var e = Lanes.Exp(Lanes.Load(ref x, i) - Vector512.Create(max));
                    sums += e;
                    if (keep) Lanes.Store(e, ref x, i);
                }

                Unsafe.Add(ref known, IRunningSoftmax.Largest) = max;
                Unsafe.Add(ref known, IRunningSoftmax.Factor) = factor;
                sums.StoreUnsafe(ref known, IRunningSoftmax.Sums);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(state, row);
            if (keep) writes.Add(logits, row);
        }
    }
}
