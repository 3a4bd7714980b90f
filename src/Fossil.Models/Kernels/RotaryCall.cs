using System.Runtime.CompilerServices;
using Fossil.Autograd;
using Fossil.CompilerServices;
using static TorchSharp.torch;
using Fossil.Concurrency;
using TorchSharp;

namespace Fossil.Models.Kernels;

/// <summary>
/// Rotary positions, and the repetition of key-value heads for grouped queries, in one pass: pairs of dimensions (i, i + head_dim/2) are rotated by their
/// position's angle, y = x cos + (−x₂, x₁) sin. Backward: the sum over the repetitions, rotated back.
/// </summary>
internal sealed class RotaryCall : AdapterCall
{
    private readonly CallInput x;
    private readonly CallTensor cos;
    private readonly CallTensor sin;
    private readonly int repeat;

    private RotaryCall(Tensor x, Tensor? cos, Tensor? sin, int repeat) => (this.x, this.cos, this.sin, this.repeat) = (Input(x), Constant(cos), Constant(sin), repeat);

    /// <summary>Heads (batch, tokens, heads, head_dim), rotated and each repeated: (batch, tokens, heads · repeat, head_dim).</summary>
    /// <param name="x">The heads.</param>
    /// <param name="cos">cos of the angles (tokens or batch · tokens, head_dim), float32; null for no rotation.</param>
    /// <param name="sin">sin of the same.</param>
    /// <param name="repeat">How many query heads each of these heads serves.</param>
    public static Tensor Run(Tensor x, Tensor? cos, Tensor? sin, int repeat)
    {
        if (Lanes.Fit(x, x.shape[3] / 2)) return AdapterFunction.Run(new RotaryCall(x, cos, sin, repeat));

        using var scope = NewDisposeScope();
        var (batch, tokens, heads, size) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        var y = x;
        if (cos is not null)
        {
            var shape = new[] { cos.shape[0] == tokens ? 1 : batch, tokens, 1, size };
            var halves = x.chunk(2, dim: -1);
            y = (x * cos.to(x.dtype).view(shape)).add(torch.cat([-halves[1], halves[0]], dim: -1) * sin!.to(x.dtype).view(shape), Scalars.One);
        }
        return y.unsqueeze(3).expand(batch, tokens, heads, repeat, size).reshape(batch, tokens, heads * repeat, size).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var (heads, shape, size) = (x.Value, x.Value.shape, x.Value.shape[3]);
        var y = empty([shape[0], shape[1], shape[2] * repeat, size], dtype: heads.dtype);
        var (source, target) = (Lanes.Open(heads.contiguous(), shape[2] * size), Lanes.Open(y, shape[2] * size * repeat));
        var angles = RotaryAngles.Open(cos.Optional?.contiguous(), sin.Optional?.contiguous(), size);
        if (y.dtype == ScalarType.Float32) KernelRows.Run(source.Rows, target.Columns, new ForwardKernel<float>(source, target, angles, (int)size, repeat));
        else KernelRows.Run(source.Rows, target.Columns, new ForwardKernel<ushort>(source, target, angles, (int)size, repeat));
        Save(cos);
        Save(sin);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var shape = gradOutput.shape;
        var (heads, size) = (shape[2] / repeat, shape[3]);
        var gradX = empty([shape[0], shape[1], heads, size], dtype: gradOutput.dtype);
        var (source, target) = (Lanes.Open(gradOutput.contiguous(), heads * size * repeat), Lanes.Open(gradX, heads * size));
        var angles = RotaryAngles.Open(cos.Optional?.contiguous(), sin.Optional?.contiguous(), size);
        if (gradX.dtype == ScalarType.Float32) KernelRows.Run(source.Rows, source.Columns, new BackwardKernel<float>(source, target, angles, (int)size, repeat));
        else KernelRows.Run(source.Rows, source.Columns, new BackwardKernel<ushort>(source, target, angles, (int)size, repeat));
        x.Gradient = gradX;
    }

    private readonly struct ForwardKernel<T>(KernelMatrix x, KernelMatrix y, RotaryAngles angles, int size, int repeat) : IRowKernel where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var half = (nuint)size / 2;
            for (var row = first; row < end; row++)
            {
                ref var source = ref x.Row<T>(row);
                ref var target = ref y.Row<T>(row);
                for (nuint head = 0; head < (nuint)(x.Columns / size); head++)
                {
                    for (nuint i = 0; i < half; i += Lanes.Count)
                    {
                        var from = head * (nuint)size + i;
                        var (a, b) = (Lanes.Load(ref source, from), Lanes.Load(ref source, from + half));
                        angles.Turn<T>(row, i, ref a, ref b);
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

    private readonly struct BackwardKernel<T>(KernelMatrix dy, KernelMatrix dx, RotaryAngles angles, int size, int repeat) : IRowKernel where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var half = (nuint)size / 2;
            for (var row = first; row < end; row++)
            {
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
                        angles.TurnBack<T>(row, i, ref a, ref b);
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
