using Fossil.Concurrency;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Causal attention with rotary positions, in which each key-value head serves a group of query heads; with a cache or without.</summary>
internal static class GroupedQueryAttention
{
    /// <summary>The heads' outputs, (batch, tokens, heads · head_dim).</summary>
    /// <param name="q">Queries before their rotation (batch, tokens, heads, head_dim).</param>
    /// <param name="k">Keys before their rotation (batch, tokens, key-value heads, head_dim).</param>
    /// <param name="v">Values, as the keys.</param>
    /// <param name="context">Positions, masks and cache of the forward pass.</param>
    /// <param name="layer">The layer, by which the cache knows it.</param>
    /// <param name="windowed">Whether the layer has the sliding window, and the angles of such layers.</param>
    /// <param name="scoreCap">The bound of the scores; null where they have none.</param>
    public static Tensor Run(Tensor q, Tensor k, Tensor v, AttentionContext context, int layer, bool windowed, double? scoreCap = null)
    {
        using var scope = NewDisposeScope();
        (q, k, v) = InOneDtype(q, k, v);
        var (heads, keyValueHeads) = (q.size(2), k.size(2));
        var mask = windowed ? context.WindowMask : context.Mask;
        var (cos, sin) = windowed && context.WindowCos is not null ? (context.WindowCos, context.WindowSin!) : (context.Cos, context.Sin);
        if (scoreCap is null && context.Cache is null && mask is null && cos.size(1) == q.size(3) && CausalAttentionCall.Fits(q))
            return CausalAttentionCall.Run(q, k, v, cos, sin, context.Starts).MoveToOuterDisposeScope();
        if (mask is null && context.Starts is not null) mask = AttentionContext.MaskOfPacked(context.Starts);

        // The cache holds a key-value head once; without a cache it is repeated for its group while it is rotated.
        var (tokens, cache) = (q.size(1), context.Cache);
        var repeat = cache is null ? (int)(heads / keyValueHeads) : 1;
        q = Rotate(q, cos, sin, 1);
        k = Rotate(k, cos, sin, repeat);
        v = (repeat == 1 ? v : RotaryCall.Run(v, null, null, repeat)).transpose(1, 2);
        if (cache is not null) (k, v) = cache.Append(layer, k, v);

        if (scoreCap is { } cap) return AttendCapped(q, k, v, mask, cap).MoveToOuterDisposeScope();
        return (cache is not null && tokens == 1 ? AttendWithOneToken(q, k, v, mask) : Attend(q, k, v, mask)).MoveToOuterDisposeScope();
    }

    /// <summary>In bfloat16 where one is, as under autocast: adapters with bfloat16 products may be on some of the projections only.</summary>
    private static (Tensor Q, Tensor K, Tensor V) InOneDtype(Tensor q, Tensor k, Tensor v) => q.dtype == k.dtype && k.dtype == v.dtype
        ? (q, k, v)
        : (q.to(ScalarType.BFloat16), k.to(ScalarType.BFloat16), v.to(ScalarType.BFloat16));

    /// <summary>Heads (batch, tokens, heads, head_dim), their first dimensions rotated and each repeated, to (batch, heads · repeat, tokens, head_dim).</summary>
    private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin, int repeat)
    {
        var (rotated, size) = (cos.size(1), x.size(3));
        if (rotated == size) return RotaryCall.Run(x, cos, sin, repeat).transpose(1, 2);
        return cat([RotaryCall.Run(x.narrow(3, 0, rotated), cos, sin, repeat), RotaryCall.Run(x.narrow(3, rotated, size - rotated), null, null, repeat)], 3).transpose(1, 2);
    }

    /// <summary>Queries (batch, heads, tokens, head_dim) on keys and values (batch, heads or key-value heads, all tokens, head_dim), to (batch, tokens, heads · head_dim).</summary>
    private static Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor? mask)
    {
        var heads = q.size(1);
        return Joined(functional.scaled_dot_product_attention(q, Repeated(k, heads), Repeated(v, heads), mask, is_casual: mask is null));
    }

    /// <summary>As <see cref="Attend"/>, with bounded scores: these have no fused form.</summary>
    private static Tensor AttendCapped(Tensor q, Tensor k, Tensor v, Tensor? mask, double cap)
    {
        var (heads, tokens, all) = (q.size(1), q.size(2), k.size(2));
        var scores = SoftCap.Apply(q.matmul(Repeated(k, heads).transpose(2, 3)).mul(Scalars.Of(1 / Math.Sqrt(q.size(3)))), cap);
        if (mask is null && tokens > 1) mask = ones(tokens, all, dtype: ScalarType.Bool, device: q.device).tril(all - tokens);
        if (mask is not null) scores = scores.masked_fill(mask.logical_not(), Scalars.Of(double.NegativeInfinity));
        var wide = scores.dtype == ScalarType.Float64 ? scores.dtype : ScalarType.Float32;
        return Joined(functional.softmax(scores, -1, wide).to(v.dtype).matmul(Repeated(v, heads)));
    }

    /// <summary>(batch, heads, tokens, head_dim) to (batch, tokens, heads · head_dim).</summary>
    private static Tensor Joined(Tensor y) => y.transpose(1, 2).reshape(y.size(0), y.size(2), y.size(1) * y.size(3));

    /// <summary>Key or value heads, each repeated for its group.</summary>
    private static Tensor Repeated(Tensor x, long heads) => x.size(1) == heads ? x
        : x.unsqueeze(2).expand(x.size(0), x.size(1), heads / x.size(1), x.size(2), x.size(3)).reshape(x.size(0), heads, x.size(2), x.size(3));

    /// <summary>One new token: the query heads of a group become the rows of their key-value head, so that the cache is read where it lies.</summary>
    private static Tensor AttendWithOneToken(Tensor q, Tensor k, Tensor v, Tensor? mask)
    {
        var (heads, keyValueHeads, size) = (q.size(1), k.size(1), q.size(3));
        var rows = q.reshape(q.size(0), keyValueHeads, heads / keyValueHeads, size);
        return functional.scaled_dot_product_attention(rows, k, v, mask).reshape(q.size(0), 1, heads * size);
    }
}
