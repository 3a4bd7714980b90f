using Fossil.Concurrency;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>The tokens of one forward pass.</summary>
/// <param name="Ids">Token ids (batch, tokens), int64.</param>
/// <param name="AttentionMask">(batch, cached and new tokens), 0 or false for padding; null without padding.</param>
/// <param name="Cache">Keys and values of the tokens before; null to compute from the start.</param>
/// <param name="ExampleStarts">For each token the position of the first token of its packed example, (batch, tokens), int64 (<see cref="TokenBatch.ExampleStarts"/>); null where nothing is packed.</param>
internal readonly record struct DecoderInput(Tensor Ids, Tensor? AttentionMask = null, KeyValueCache? Cache = null, Tensor? ExampleStarts = null);

/// <summary>What the layers of one forward pass share: positions, masks and cache.</summary>
/// <param name="Cos">cos of the positions' angles, float32, (tokens, rotated dimensions); (batch · tokens, rotated dimensions) with padding.</param>
/// <param name="Sin">sin of the same.</param>
/// <param name="Mask">Who sees whom, (batch or 1, 1, tokens, all tokens), true = seen; null: causal.</param>
/// <param name="WindowMask">The same for layers with a sliding window.</param>
/// <param name="Starts">Where packed examples begin, (batch, tokens); null where nothing is packed. Heeded where there is no mask, which has it in it.</param>
/// <param name="Cache">Keys and values of earlier tokens.</param>
/// <param name="WindowCos">cos of the angles of layers with a sliding window; null where they are those of all.</param>
/// <param name="WindowSin">sin of the same.</param>
internal sealed record AttentionContext(Tensor Cos, Tensor Sin, Tensor? Mask, Tensor? WindowMask, Tensor? Starts, KeyValueCache? Cache, Tensor? WindowCos = null, Tensor? WindowSin = null)
{
    /// <summary>The same for a layer without positions: angles of 0, which rotate nothing, so that such a layer takes the way of all others. The tables belong to the current dispose scope.</summary>
    public AttentionContext WithoutPositions() => this with { Cos = ones_like(Cos), Sin = zeros_like(Sin) };

    /// <summary>The tensors, for a layer that is computed again.</summary>
    public Tensor?[] Tensors => [Cos, Sin, Mask, WindowMask, Starts, WindowCos, WindowSin];

    /// <summary>The context of <see cref="Tensors"/>, without a cache.</summary>
    public static AttentionContext Of(IReadOnlyList<Tensor?> tensors) => new(tensors[0]!, tensors[1]!, tensors[2], tensors[3], tensors[4], Cache: null, tensors[5], tensors[6]);

    /// <summary>The context of a forward pass.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="rotary">The angles.</param>
    /// <param name="x">Embedded tokens (batch, tokens, hidden_size): gives dtype and device.</param>
    /// <param name="input">The tokens.</param>
    /// <param name="windowRotary">The angles of layers with a sliding window; null where they are those of all.</param>
    public static AttentionContext Create(CausalLMConfig config, RotaryEmbedding rotary, Tensor x, DecoderInput input, RotaryEmbedding? windowRotary = null) =>
        input.ExampleStarts is { } starts ? OfPacked(config, rotary, windowRotary, x, starts) : OfSequences(config, rotary, windowRotary, x, input.AttentionMask, input.Cache);

    /// <summary>
    /// Builds a mask only where "each token sees all before it" is not the whole story: padding, several new tokens after cached ones, or a window that is
    /// shorter than the sequence. Otherwise libtorch's causal attention needs none.
    /// </summary>
    private static AttentionContext OfSequences(CausalLMConfig config, RotaryEmbedding rotary, RotaryEmbedding? windowRotary, Tensor x, Tensor? attentionMask, KeyValueCache? cache)
    {
        var (tokens, past, device) = (x.size(1), cache?.Length ?? 0, x.device);
        var all = past + tokens;
        var padding = attentionMask?.to(ScalarType.Bool);
        CheckMask(attentionMask, x.size(0), all);

        // Padding takes no position: a padded sequence gets the angles that it has alone.
        var positions = padding?.to(int64).cumsum(1).sub(Scalars.One).clamp(min: Scalars.Zero);
        var (cos, sin) = Angles(rotary);
        var (windowCos, windowSin) = windowRotary is null ? default : Angles(windowRotary);

        var everything = padding is not null || (past > 0 && tokens > 1) ? Build(window: null) : null;
        var windowed = config.SlidingWindow is { } window && all > window ? Build(window) : everything;
        return new AttentionContext(cos, sin, everything, windowed, Starts: null, cache, windowCos, windowSin);

        (Tensor Cos, Tensor Sin) Angles(RotaryEmbedding table) => positions is null
            ? table.Get(past, tokens, device)
            : table.At(positions.narrow(1, past, tokens), () => padding!.sum(1, keepdim: true, type: int64), all);

        Tensor Build(int? window)
        {
            var query = arange(Scalars.Of(past), Scalars.Of(all), Scalars.One, dtype: int64, device: device).unsqueeze(1);
            var key = arange(Scalars.Zero, Scalars.Of(all), Scalars.One, dtype: int64, device: device).unsqueeze(0);
            var seen = key.le(query);
            if (window is not null) seen = seen.logical_and(key.gt(query.sub(Scalars.Of(window.Value))));
            seen = seen.view(1, 1, tokens, all);
            // Padding sees itself, because a row that sees nothing would become NaN.
            return padding is null ? seen : seen.logical_and(padding.view(x.size(0), 1, 1, all)).logical_or(key.eq(query).view(1, 1, tokens, all));
        }
    }

    /// <summary>The context of packed examples: in each, positions count from 0 and attention stays inside.</summary>
    private static AttentionContext OfPacked(CausalLMConfig config, RotaryEmbedding rotary, RotaryEmbedding? windowRotary, Tensor x, Tensor starts)
    {
        if (starts.dim() != 2 || starts.size(0) != x.size(0) || starts.size(1) != x.size(1))
        {
            throw new ArgumentException($"{nameof(TokenBatch.ExampleStarts)} has shape ({string.Join(", ", starts.shape)}), but {x.size(0)} sequences of {x.size(1)} tokens need ({x.size(0)}, {x.size(1)}).", nameof(starts));
        }

        var tokens = x.size(1);
        var positions = arange(Scalars.Zero, Scalars.Of(tokens), Scalars.One, dtype: int64, device: x.device).sub(starts);
        var (cos, sin) = Angles(rotary);
        var (windowCos, windowSin) = windowRotary is null ? default : Angles(windowRotary);
        // A window that no example fills hides nothing.
        var windowed = config.SlidingWindow is { } window && positions.max().item<long>() >= window ? MaskOfPacked(starts, window) : null;
        return new AttentionContext(cos, sin, Mask: null, windowed, starts, Cache: null, windowCos, windowSin);

        (Tensor Cos, Tensor Sin) Angles(RotaryEmbedding table) => table.At(positions, () => starts.unsqueeze(2).eq(starts.unsqueeze(1)).sum(2, type: int64), tokens);
    }

    /// <summary>Who sees whom among packed examples, (batch, 1, tokens, tokens).</summary>
    public static Tensor MaskOfPacked(Tensor starts, int? window = null)
    {
        var query = arange(Scalars.Zero, Scalars.Of(starts.size(1)), Scalars.One, dtype: int64, device: starts.device).unsqueeze(1);
        var key = query.view(1, 1, -1);
        var seen = key.le(query).logical_and(key.ge(starts.unsqueeze(2)));
        if (window is not null) seen = seen.logical_and(key.gt(query.sub(Scalars.Of(window.Value))));
        return seen.unsqueeze(1);
    }

    private static void CheckMask(Tensor? mask, long batch, long all)
    {
        if (mask is not null && (mask.dim() != 2 || mask.size(0) != batch || mask.size(1) != all))
        {
            throw new ArgumentException($"attention_mask has shape ({string.Join(", ", mask.shape)}), but {batch} sequences of {all} tokens (the cached ones included) need ({batch}, {all}).", nameof(mask));
        }
    }
}
