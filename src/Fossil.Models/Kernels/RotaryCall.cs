using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Rotary positions, and the repetition of key-value heads for grouped queries, in one pass: pairs of dimensions (i, i + head_dim/2) are rotated by their
/// position's angle, y = x cos + (−x₂, x₁) sin. Backward: the sum over the repetitions, rotated back.
/// </summary>
internal sealed class RotaryCall : AdapterCall
{
    private readonly IRotary kernel;
    private readonly CallInput x;
    private readonly CallTensor cos;
    private readonly CallTensor sin;
    private readonly int repeat;

    private RotaryCall(IRotary kernel, Tensor x, Tensor? cos, Tensor? sin, int repeat) =>
        (this.kernel, this.x, this.cos, this.sin, this.repeat) = (kernel, Input(x), Constant(cos), Constant(sin), repeat);

    /// <summary>Heads (batch, tokens, heads, head_dim), rotated and each repeated: (batch, tokens, heads · repeat, head_dim).</summary>
    /// <param name="x">The heads.</param>
    /// <param name="cos">cos of the angles (tokens or batch · tokens, head_dim), float32; null for no rotation.</param>
    /// <param name="sin">sin of the same.</param>
    /// <param name="repeat">How many query heads each of these heads serves.</param>
    public static Tensor Run(Tensor x, Tensor? cos, Tensor? sin, int repeat)
    {
        if (KernelRegistry.Find<IRotary>(x.size(3), x) is { } kernel) return AdapterFunction.Run(new RotaryCall(kernel, x, cos, sin, repeat));

        using var scope = NewDisposeScope();
        var (batch, tokens, heads, size) = (x.size(0), x.size(1), x.size(2), x.size(3));
        var y = x;
        if (cos is not null)
        {
            var shape = new[] { cos.size(0) == tokens ? 1 : batch, tokens, 1, size };
            var halves = x.chunk(2, dim: -1);
            y = (x * cos.to(x.dtype).view(shape)).add(torch.cat([-halves[1], halves[0]], dim: -1) * sin!.to(x.dtype).view(shape), Scalars.One);
        }
        return y.unsqueeze(3).expand(batch, tokens, heads, repeat, size).reshape(batch, tokens, heads * repeat, size).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var (heads, shape, size) = (x.Value, x.Value.shape, x.Value.size(3));
        var y = empty([shape[0], shape[1], shape[2] * repeat, size], dtype: heads.dtype, device: heads.device);
        kernel.Forward(KernelMatrix.Of(heads.contiguous(), shape[2] * size), KernelMatrix.Of(y, shape[2] * size * repeat), Table(cos, size), Table(sin, size), (int)size, repeat);
        Save(cos);
        Save(sin);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var shape = gradOutput.shape;
        var (heads, size) = (shape[2] / repeat, shape[3]);
        var gradX = empty([shape[0], shape[1], heads, size], dtype: gradOutput.dtype, device: gradOutput.device);
        kernel.Backward(KernelMatrix.Of(gradOutput.contiguous(), heads * size * repeat), KernelMatrix.Of(gradX, heads * size), Table(cos, size), Table(sin, size), (int)size, repeat);
        x.Gradient = gradX;
    }

    private static KernelMatrix Table(CallTensor angles, long size) => angles.Optional is { } table ? KernelMatrix.Of(table.contiguous(), size) : default;
}
