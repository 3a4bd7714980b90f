using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>The rotation in one pass over float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>).</summary>
internal sealed class RotaryKernel<T> : IRotary where T : unmanaged
{
    public bool Takes(long size, ScalarType elementType, DevicePlace place) => size % (2 * Lanes.Count) == 0;

    public void Forward(in KernelMatrix heads, in KernelMatrix output, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        KernelRows.Run(heads.Rows, output.Columns, new ForwardKernel(heads, output, new(cos, sin), size, repeat));

    public void Backward(in KernelMatrix gradOutput, in KernelMatrix gradient, in KernelMatrix cos, in KernelMatrix sin, int size, int repeat) =>
        KernelRows.Run(gradOutput.Rows, gradOutput.Columns, new BackwardKernel(gradOutput, gradient, new(cos, sin), size, repeat));

    private readonly struct ForwardKernel(KernelMatrix x, KernelMatrix y, RotaryAngles angles, int size, int repeat) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var half = (nuint)size / 2;
            for (var row = first; row < end; row++)
            {
                var position = angles.Position(row);
                ref var source = ref x.Row<T>(row);
                ref var target = ref y.Row<T>(row);
                for (nuint head = 0; head < (nuint)(x.Columns / size); head++)
                {
                    for (nuint i = 0; i < half; i += Lanes.Count)
                    {
                        var from = head * (nuint)size + i;
                        var (a, b) = (Lanes.Load(ref source, from), Lanes.Load(ref source, from + half));
                        angles.Turn<T>(position, i, ref a, ref b);
                        for (var copy = 0; copy < repeat; copy++)
                        {
                            var to = (head * (nuint)repeat + (nuint)copy) * (nuint)size + i;
                            Lanes.Store(a, ref target, to);
                            Lanes.Store(b, ref target, to + half);
                        }
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(y, row);
    }

    private readonly struct BackwardKernel(KernelMatrix dy, KernelMatrix dx, RotaryAngles angles, int size, int repeat) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var half = (nuint)size / 2;
            for (var row = first; row < end; row++)
            {
                var position = angles.Position(row);
                ref var source = ref dy.Row<T>(row);
                ref var target = ref dx.Row<T>(row);
                for (nuint head = 0; head < (nuint)(dx.Columns / size); head++)
                {
                    for (nuint i = 0; i < half; i += Lanes.Count)
                    {
                        var from = head * (nuint)repeat * (nuint)size + i;
                        var (a, b) = (Lanes.Load(ref source, from), Lanes.Load(ref source, from + half));
                        for (var copy = 1; copy < repeat; copy++)
                        {
                            from += (nuint)size;
                            (a, b) = (a + Lanes.Load(ref source, from), b + Lanes.Load(ref source, from + half));
                        }
                        angles.TurnBack<T>(position, i, ref a, ref b);
                        var to = head * (nuint)size + i;
                        Lanes.Store(a, ref target, to);
                        Lanes.Store(b, ref target, to + half);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(dx, row);
    }
}
