using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>y += delta with y in bfloat16 and delta in float32, rounded once. libtorch would convert y to float32 and back, in two more tensors.</summary>
internal readonly struct RoundedAdd : IRowKernel
{
    private readonly KernelMatrix target;
    private readonly KernelMatrix delta;

    private RoundedAdd(KernelMatrix target, KernelMatrix delta)
    {
        this.target = target;
        this.delta = delta;
    }

    /// <summary>Adds <paramref name="delta"/> (rows, columns) to <paramref name="target"/> (rows, columns) in place.</summary>
    public static void Add(Tensor target, Tensor delta)
    {
        if (KernelMatrix.TryOpen(target, out var to) && KernelMatrix.TryOpen(delta, out var from)
            && to.ElementType == ScalarType.BFloat16 && from.ElementType == ScalarType.Float32)
        {
            KernelRows.Run(to.Rows, to.Columns, new RoundedAdd(to, from));
        }
        else
        {
            target.add_(delta, Scalars.One);
        }

        GC.KeepAlive(target);
        GC.KeepAlive(delta);
    }

    /// <inheritdoc/>
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

    /// <inheritdoc/>
    public void DeclareWrites(long row, KernelWrites writes) => writes.Add(target, row);
}
