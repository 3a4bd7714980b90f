using Fossil.Models.Kernels;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>A decoder's layers one after the other, with the angles of their positions: hidden states (batch, tokens, hidden_size) to hidden states.</summary>
internal sealed class DecoderLayers : ModuleList<DecoderLayer>
{
    private readonly CausalLMConfig config;
    private readonly RotaryEmbedding rotary;
    private readonly RotaryEmbedding? windowRotary;

    /// <param name="config">The architecture.</param>
    /// <param name="create">Makes a layer by its number.</param>
    /// <param name="windowRope">The positions of layers with a sliding window; null where they are those of all.</param>
    public DecoderLayers(CausalLMConfig config, Func<int, DecoderLayer> create, RopeParameters? windowRope = null) : base([.. Enumerable.Range(0, config.NumHiddenLayers).Select(create)])
    {
        this.config = config;
        rotary = new RotaryEmbedding(config.Rope, config.RotaryDim);
        windowRotary = windowRope is null ? null : new RotaryEmbedding(windowRope, config.RotaryDim);
    }

    /// <summary>Runs the layers, and counts the tokens in the cache, if there is one.</summary>
    /// <param name="x">Embedded tokens (batch, tokens, hidden_size); disposed.</param>
    /// <param name="input">The tokens.</param>
    /// <param name="recompute">Whether the backward pass computes the layers again, so that their activations are not kept; without effect with a cache.</param>
    public Tensor forward(Tensor x, DecoderInput input, bool recompute)
    {
        using var scope = NewDisposeScope();
        var context = AttentionContext.Create(config, rotary, x, input, windowRotary);
        if (OneTokenLayer.TryRun(x, this, context) is { } token)
        {
            x.Dispose();
            input.Cache!.Advance(1);
            return token.MoveToOuterDisposeScope();
        }

        foreach (var layer in this)
        {
            var next = recompute && context.Cache is null
                ? ActivationCheckpoint.Run((again, shared) => layer.forward(again, AttentionContext.Of(shared)), x, context.Tensors)
                : layer.forward(x, context);
            x.Dispose();
            x = next;
        }

        input.Cache?.Advance(input.Ids.size(1));
        return x.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rotary.Dispose();
            windowRotary?.Dispose();
        }

        base.Dispose(disposing);
    }
}
