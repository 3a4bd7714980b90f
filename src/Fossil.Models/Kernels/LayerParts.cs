using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>What an attention consists of.</summary>
/// <param name="Inputs">The projections whose outputs, one behind the other, are queries, keys and values.</param>
/// <param name="Output">The projection of the heads' outputs.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads.</param>
/// <param name="Size">head_dim.</param>
/// <param name="Layer">The layer's number, by which the cache knows it.</param>
internal sealed record AttentionParts(LinearLayer[] Inputs, LinearLayer Output, int Heads, int KeyValueHeads, int Size, int Layer)
{
    /// <summary>The norm of each query head; null without.</summary>
    public RMSNorm? QueryNorm { get; init; }

    /// <summary>The norm of each key head; null without.</summary>
    public RMSNorm? KeyNorm { get; init; }

    /// <summary>How many tokens each sees, itself included; null: all before it.</summary>
    public int? Window { get; init; }

    /// <summary>Whether queries and keys are turned by their positions' angles.</summary>
    public bool Rotates { get; init; } = true;

    /// <summary>What queries are multiplied by before their rotation, beside 1 / √head_dim.</summary>
    public float QueryFactor { get; init; } = 1;
}

/// <summary>What a gated feed-forward block consists of: down(silu(gate) · up).</summary>
/// <param name="Inputs">The projections whose outputs, one behind the other, are gate and up.</param>
/// <param name="Output">down.</param>
internal sealed record GatedParts(LinearLayer[] Inputs, LinearLayer Output);

/// <summary>A feed-forward block that says what it consists of.</summary>
internal interface IGatedBlock
{
    /// <summary>Its parts.</summary>
    GatedParts Parts { get; }
}

/// <summary>What a layer consists of: x + f · attention(norm(x)), then x + f · mlp(norm(x)).</summary>
/// <param name="AttentionNorm">The norm before the attention.</param>
/// <param name="Attention">The attention.</param>
/// <param name="GatedNorm">The norm before the feed-forward block.</param>
/// <param name="Gated">The feed-forward block.</param>
/// <param name="Factor">f.</param>
internal sealed record LayerParts(RMSNorm AttentionNorm, AttentionParts Attention, RMSNorm GatedNorm, GatedParts Gated, float Factor = 1)
{
    /// <summary>The parts of a layer; null where it, or one of its blocks, consists of others.</summary>
    public static LayerParts? Of(RMSNorm attentionNorm, DecoderAttention attention, RMSNorm gatedNorm, nn.Module<Tensor, Tensor> gated, double factor = 1) =>
        attention.Parts is { } parts && gated is IGatedBlock block ? new(attentionNorm, parts, gatedNorm, block.Parts, (float)factor) : null;
}
