using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The attention of a decoder's layer: hidden states (batch, tokens, hidden_size) to hidden states.</summary>
public abstract class DecoderAttention : Module
{
    private protected DecoderAttention(string name) : base(name)
    {
    }

    internal abstract Tensor forward(Tensor x, AttentionContext context);
}
