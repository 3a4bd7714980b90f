using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The cross-entropy of float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>), a row at a time.</summary>
internal sealed class CrossEntropyKernel<T> : ICrossEntropy where T : unmanaged
{
    public long ElementsAtOnce => 1 << 22;

    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % Lanes.Count == 0;

    public void Run(in KernelMatrix logits, in KernelMatrix targets, in KernelMatrix losses, bool gradient, float scale) =>
        KernelRows.Run(logits.Rows, logits.Columns, new Kernel(logits, targets, losses, gradient, scale));

    private readonly struct Kernel(KernelMatrix logits, KernelMatrix targets, KernelMatrix losses, bool gradient, float scale) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                ref var x = ref logits.Row<T>(row);
                var size = (nuint)logits.Columns;
                var id = targets.Row<long>(row);
                if (id < 0)
                {
                    losses.Row<float>(row) = 0;
                    if (gradient) for (nuint i = 0; i < size; i += Lanes.Count) Lanes.Store(Vector512<float>.Zero, ref x, i);
                    continue;
                }
                var largest = Lanes.Load(ref x, 0);
                for (nuint i = Lanes.Count; i < size; i += Lanes.Count) largest = Vector512.Max(largest, Lanes.Load(ref x, i));
                var max = Lanes.Max(largest);
                var sums = Vector512<float>.Zero;
                for (nuint i = 0; i < size; i += Lanes.Count) sums += Lanes.Exp(Lanes.Load(ref x, i) - Vector512.Create(max));
                var logSum = MathF.Log(Lanes.Sum(sums));
                var target = (nuint)id;
                losses.Row<float>(row) = -(Lanes.Element(ref x, target) - max - logSum);
                if (!gradient) continue;

                for (nuint i = 0; i < size; i += Lanes.Count)
                {
                    var logProbability = Lanes.Load(ref x, i) - Vector512.Create(max) - Vector512.Create(logSum);
                    Lanes.Store(Lanes.Exp(logProbability) * scale, ref x, i);
                }

                var correct = Lanes.Element(ref x, target) - scale;
                if (typeof(T) == typeof(float)) Unsafe.As<T, float>(ref Unsafe.Add(ref x, target)) = correct;
                else Unsafe.As<T, ushort>(ref Unsafe.Add(ref x, target)) = BFloat16Lanes.FromSingle(correct);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(losses, row);
            if (gradient) writes.Add(logits, row);
        }
    }
}
