using Fossil.Autograd;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Causal grouped-query attention with rotary positions in one pass: softmax(rope(q) rope(k)ᵀ / √head_dim) v, in float32 with the roundings of libtorch's
/// operations. The projections are read where they lie, a key-value head is never repeated, and what is kept for the backward pass is the projections and one
/// number for each row of scores.
/// </summary>
/// <remarks>libtorch's fused attention computes bfloat16 products of small blocks one by one, each through the set-up of a whole matrix product.</remarks>
internal sealed class CausalAttentionCall(Tensor q, Tensor k, Tensor v, Tensor cos, Tensor sin, Tensor? starts) : AdapterCall
{
    private Tensor? q = q;
    private Tensor? k = k;
    private Tensor? v = v;
    private Tensor? cos = cos;
    private Tensor? sin = sin;
    private Tensor? starts = starts;

    public override IReadOnlyList<Tensor?> Inputs => [q, k, v];

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
        var shape = new AttentionShape(q!.shape, k!.shape);
        var y = empty([shape.Batch, shape.Tokens, shape.Heads * shape.Size], dtype: q.dtype);
        var normalizers = empty(shape.Batch * shape.Heads, shape.Tokens, dtype: ScalarType.Float32);
        var (queries, keys, values) = (q.contiguous(), k.contiguous(), v!.contiguous());
        var operands = new AttentionOperands(shape, queries, keys, values, normalizers, cos!.contiguous(), sin!.contiguous(), starts?.contiguous());
        if (q.dtype == ScalarType.Float32) AttentionForward<float>.Run(operands, y);
        else AttentionForward<ushort>.Run(operands, y);
        Save(q);
        Save(k);
        Save(v);
        Save(cos);
        Save(sin);
        SaveOwned(normalizers);
        Save(starts);
        return y;
    }

    public override Tensor?[] Backward(Tensor gradOutput, IReadOnlyList<Tensor?> saved)
    {
        var (queries, keys, values) = (saved[0]!.contiguous(), saved[1]!.contiguous(), saved[2]!.contiguous());
        var shape = new AttentionShape(queries.shape, keys.shape);
        var operands = new AttentionOperands(shape, queries, keys, values, saved[5]!, saved[3]!.contiguous(), saved[4]!.contiguous(), saved[6]?.contiguous());
        var gradients = new[] { empty(queries.shape, dtype: queries.dtype), empty(keys.shape, dtype: queries.dtype), empty(keys.shape, dtype: queries.dtype) };
        if (queries.dtype == ScalarType.Float32) AttentionBackward<float>.Run(operands, gradOutput.contiguous(), gradients);
        else AttentionBackward<ushort>.Run(operands, gradOutput.contiguous(), gradients);
        return [Needs[0] ? gradients[0] : null, Needs[1] ? gradients[1] : null, Needs[2] ? gradients[2] : null];
    }

    internal override void ReleaseInputs() => (q, k, v, cos, sin, starts) = (null, null, null, null, null, null);
}
