using Fossil.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>One layer of a decoder: hidden states (batch, tokens, hidden_size) to hidden states.</summary>
public abstract class DecoderLayer : Module
{
    private protected DecoderLayer(string name) : base(name)
    {
    }

    internal abstract Tensor forward(Tensor x, AttentionContext context);

    /// <summary>Runs layers one after the other. The input is disposed.</summary>
    /// <param name="layers">The layers.</param>
    /// <param name="x">Hidden states (batch, tokens, hidden_size).</param>
    /// <param name="context">What the layers share.</param>
    /// <param name="recompute">Whether the backward pass computes the layers again, so that their activations are not kept; without effect with a cache.</param>
    internal static Tensor Run(IEnumerable<DecoderLayer> layers, Tensor x, AttentionContext context, bool recompute)
    {
        foreach (var layer in layers)
        {
            var next = recompute && context.Cache is null
                ? ActivationCheckpoint.Run((input, shared) => layer.forward(input, AttentionContext.Of(shared)), x, context.Tensors)
                : layer.forward(x, context);
            x.Dispose();
            x = next;
        }
        return x;
    }
}
