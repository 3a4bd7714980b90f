using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Positions and masks of one forward pass.</summary>
internal static class AttentionMasks
{
    /// <summary>
    /// Builds a mask only where "each token sees all before it" is not the whole story: padding, several new tokens after cached ones, or a window that is
    /// shorter than the sequence. Otherwise libtorch's causal attention needs none.
    /// </summary>
    /// <param name="config">The architecture.</param>
    /// <param name="rotary">The angles.</param>
    /// <param name="x">Embedded tokens (batch, tokens, hidden_size): gives dtype and device.</param>
    /// <param name="attentionMask">(batch, all tokens), 0 for padding; or null.</param>
    /// <param name="cache">Keys and values before; or null.</param>
    public static AttentionContext CreateContext(LlamaConfig config, RotaryEmbedding rotary, Tensor x, Tensor? attentionMask, KeyValueCache? cache)
    {
        var (tokens, past, device) = (x.shape[1], cache?.Length ?? 0, x.device);
        var all = past + tokens;
        var padding = attentionMask?.to(ScalarType.Bool);
        CheckMask(attentionMask, x.shape[0], all);

        // Padding takes no position: a padded sequence gets the angles that it has alone.
        var (cos, sin) = padding is null ? rotary.Get(past, tokens, device) : rotary.Get(all, device);
        if (padding is not null)
        {
            var positions = padding.to(int64).cumsum(1).sub(Scalars.One).clamp(min: Scalars.Zero).narrow(1, past, tokens).flatten();
            (cos, sin) = (cos.index_select(0, positions), sin.index_select(0, positions));
        }

        var everything = padding is not null || (past > 0 && tokens > 1) ? Build(window: null) : null;
        var windowed = config.SlidingWindow is { } window && all > window ? Build(window) : everything;
        return new AttentionContext(cos, sin, everything, windowed, cache);

        Tensor Build(int? window)
        {
            var query = arange(Scalars.Of(past), Scalars.Of(all), Scalars.One, dtype: int64, device: device).unsqueeze(1);
            var key = arange(Scalars.Zero, Scalars.Of(all), Scalars.One, dtype: int64, device: device).unsqueeze(0);
            var seen = key.le(query);
            if (window is not null) seen = seen.logical_and(key.gt(query.sub(Scalars.Of(window.Value))));
            seen = seen.view(1, 1, tokens, all);
            // Padding sees itself, because a row that sees nothing would become NaN.
            return padding is null ? seen : seen.logical_and(padding.view(x.shape[0], 1, 1, all)).logical_or(key.eq(query).view(1, 1, tokens, all));
        }
    }

    private static void CheckMask(Tensor? mask, long batch, long all)
    {
        if (mask is not null && (mask.dim() != 2 || mask.shape[0] != batch || mask.shape[1] != all))
        {
            throw new ArgumentException($"attention_mask has shape ({string.Join(", ", mask.shape)}), but {batch} sequences of {all} tokens (the cached ones included) need ({batch}, {all}).", nameof(mask));
        }
    }
}
