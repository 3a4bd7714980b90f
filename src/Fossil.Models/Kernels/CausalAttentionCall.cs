using Fossil.Autograd;
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
    private readonly CallInput q;
    private readonly CallInput k;
    private readonly CallInput v;
    private readonly CallTensor cos;
    private readonly CallTensor sin;
    private readonly CallTensor starts;
    private CallTensor? normalizers;

    private CausalAttentionCall(Tensor q, Tensor k, Tensor v, Tensor cos, Tensor sin, Tensor? starts) =>
        (this.q, this.k, this.v, this.cos, this.sin, this.starts) = (Input(q), Input(k), Input(v), Constant(cos), Constant(sin), Constant(starts));

    /// <summary>Whether <see cref="Run"/> takes heads like <paramref name="q"/> (batch, tokens, heads, head_dim).</summary>
    public static bool Fits(Tensor q) => AttentionShape.IsSupported && Lanes.Fit(q, q.shape[3] / 2);

    /// <summary>The output (batch, tokens, heads · head_dim).</summary>
    /// <param name="q">Queries before their rotation (batch, tokens, heads, head_dim), float32 or bfloat16.</param>
    /// <param name="k">Keys before their rotation (batch, tokens, key-value heads, head_dim).</param>
    /// <param name="v">Values, as the keys.</param>
    /// <param name="cos">cos of the angles (tokens or batch · tokens, head_dim), float32.</param>
    /// <param name="sin">sin of the same.</param>
    /// <param name="starts">For each token the first one that it sees, (batch, tokens), int64; null: the first of its row.</param>
    public static Tensor Run(Tensor q, Tensor k, Tensor v, Tensor cos, Tensor sin, Tensor? starts = null) => AdapterFunction.Run(new CausalAttentionCall(q, k, v, cos, sin, starts));

    public override Tensor Forward()
    {
        var shape = Shape;
        var y = empty([shape.Batch, shape.Tokens, shape.Heads * shape.Size], dtype: q.Value.dtype);
        normalizers = SaveOwned(empty(shape.Batch * shape.Heads, shape.Tokens, dtype: ScalarType.Float32));
        if (y.dtype == ScalarType.Float32) AttentionForward<float>.Run(Operands(), y);
        else AttentionForward<ushort>.Run(Operands(), y);
        foreach (var tensor in (CallTensor[])[q, k, v, cos, sin, starts]) Save(tensor);
        return y;
    }

    public override void Backward(Tensor gradOutput)
    {
        var (queries, keys) = (q.Value, k.Value);
        var gradients = new[] { empty(queries.shape, dtype: queries.dtype), empty(keys.shape, dtype: queries.dtype), empty(keys.shape, dtype: queries.dtype) };
        if (queries.dtype == ScalarType.Float32) AttentionBackward<float>.Run(Operands(), gradOutput.contiguous(), gradients);
        else AttentionBackward<ushort>.Run(Operands(), gradOutput.contiguous(), gradients);
        foreach (var (input, gradient) in ((CallInput[])[q, k, v]).Zip(gradients))
        {
            if (input.NeedsGradient) input.Gradient = gradient;
        }
    }

    private AttentionShape Shape => new(q.Value.shape, k.Value.shape);

    private AttentionOperands Operands() =>
        new(Shape, q.Value.contiguous(), k.Value.contiguous(), v.Value.contiguous(), normalizers!.Value, cos.Value.contiguous(), sin.Value.contiguous(), starts.Optional?.contiguous());
}
