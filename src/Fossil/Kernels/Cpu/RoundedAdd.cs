using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>y += delta with y in bfloat16 and delta in float32.</summary>
internal sealed class RoundedAdd : IRoundedAdd
{
    public bool TryAdd(in KernelMatrix target, in KernelMatrix delta)
    {
        if (target.ElementType != ScalarType.BFloat16 || delta.ElementType != ScalarType.Float32) return false;
        KernelRows.Run(target.Rows, target.Columns, new Kernel(target, delta));
        return true;
    }

    private readonly struct Kernel(KernelMatrix target, KernelMatrix delta) : IRowKernel
    {
        public void Run(long first, long end)
        {
            var columns = (nuint)target.Columns;
            for (var row = first; row < end; row++)
            {
                ref var to = ref target.Row<ushort>(row);
                ref var from = ref delta.Row<float>(row);
                nuint i = 0;
                if (Vector512.IsHardwareAccelerated)
                {
                    for (; i + 16 <= columns; i += 16) BFloat16Lanes.Store512(BFloat16Lanes.Load512(ref to, i) + Vector512.LoadUnsafe(ref from, i), ref to, i);
                }
                else if (Vector256.IsHardwareAccelerated)
                {
                    for (; i + 8 <= columns; i += 8) BFloat16Lanes.Store256(BFloat16Lanes.Load256(ref to, i) + Vector256.LoadUnsafe(ref from, i), ref to, i);
                }

                for (; i < columns; i++)
                {
                    ref var element = ref Unsafe.Add(ref to, i);
                    element = BFloat16Lanes.FromSingle(BFloat16Lanes.ToSingle(element) + Unsafe.Add(ref from, i));
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(target, row);
    }
}
