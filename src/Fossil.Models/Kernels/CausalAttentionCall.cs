using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Causal grouped-query attention with rotary positions in one pass: softmax(rope(q) rope(k)ᵀ / √head_dim) v, in float32 with the roundings of libtorch's
/// operations. The projections are read where they lie, a key-value head is never repeated, and what is kept for the backward pass is the projections and one
/// number for each row of scores.
/// </summary>
/// <remarks>libtorch's fused attention computes bfloat16 products of small blocks one by one, each through the set-up of a whole matrix product.</remarks>
internal sealed class CausalAttentionCall : AdapterCall
{
    private readonly IAttention kernel;
    private readonly CallInput q;
    private readonly CallInput k;
    private readonly CallInput v;
    private readonly CallTensor cos;
    private readonly CallTensor sin;
    private readonly CallTensor starts;
    private CallTensor? normalizers;

    private CausalAttentionCall(IAttention kernel, Tensor q, Tensor k, Tensor v, Tensor cos, Tensor sin, Tensor? starts) =>
        (this.kernel, this.q, this.k, this.v, this.cos, this.sin, this.starts) = (kernel, Input(q), Input(k), Input(v), Constant(cos), Constant(sin), Constant(starts));

    /// <summary>Whether <see cref="Run"/> takes heads like <paramref name="q"/> (batch, tokens, heads, head_dim).</summary>
    public static bool Fits(Tensor q) => Kernel(q) is not null;

    /// <summary>The output (batch, tokens, heads · head_dim).</summary>
    /// <param name="q">Queries before their rotation (batch, tokens, heads, head_dim), float32 or bfloat16.</param>
    /// <param name="k">Keys before their rotation (batch, tokens, key-value heads, head_dim).</param>
    /// <param name="v">Values, as the keys.</param>
    /// <param name="cos">cos of the angles (tokens or batch · tokens, head_dim), float32.</param>
    /// <param name="sin">sin of the same.</param>
    /// <param name="starts">For each token the first one that it sees, (batch, tokens), int64; null: the first of its row.</param>
    public static Tensor Run(Tensor q, Tensor k, Tensor v, Tensor cos, Tensor sin, Tensor? starts = null) =>
        AdapterFunction.Run(new CausalAttentionCall(Kernel(q) ?? throw new InvalidOperationException($"No kernel takes heads of {q.dtype} ({string.Join(", ", q.shape)})."), q, k, v, cos, sin, starts));

    public override Tensor Forward()
    {
        var (queries, shape) = (q.Value, q.Value.shape);
        var y = empty([shape[0], shape[1], shape[2] * shape[3]], dtype: queries.dtype, device: queries.device);
        normalizers = SaveOwned(empty(shape[0] * shape[2], shape[1], dtype: ScalarType.Float32, device: queries.device));
        kernel.Forward(Operands(), KernelMatrix.Of(y));
        foreach (var tensor in (CallTensor[])[q, k, v, cos, sin, starts]) Save(tensor);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var inputs = Operands();
        Tensor[] gradients = [.. ((CallInput[])[q, k, v]).Select(input => empty(input.Value.shape, dtype: input.Value.dtype, device: input.Value.device))];
        kernel.Backward(inputs, KernelMatrix.Of(gradOutput.contiguous()), Heads(gradients[0]), Heads(gradients[1]), Heads(gradients[2]));
        foreach (var (input, gradient) in ((CallInput[])[q, k, v]).Zip(gradients))
        {
            if (input.NeedsGradient) input.Gradient = gradient;
        }
    }

    private static IAttention? Kernel(Tensor q) => KernelRegistry.Find<IAttention>(q.size(3), q);

    private static KernelMatrix Heads(Tensor tensor) => KernelMatrix.Of(tensor.contiguous(), tensor.size(2) * tensor.size(3));

    private AttentionInputs Operands()
    {
        var shape = q.Value.shape;
        return new(
            shape[0], shape[1], shape[2], k.Value.size(2), shape[3], Heads(q.Value), Heads(k.Value), Heads(v.Value),
            KernelMatrix.Of(cos.Value.contiguous(), shape[3]), KernelMatrix.Of(sin.Value.contiguous(), shape[3]),
            starts.Optional is { } first ? KernelMatrix.Of(first.contiguous(), shape[1]) : default, KernelMatrix.Of(normalizers!.Value));
    }
}
