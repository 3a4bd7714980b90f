using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The attention of a decoder's layer: hidden states (batch, tokens, hidden_size) to hidden states.</summary>
public abstract class DecoderAttention : Module
{
    private protected DecoderAttention(string name) : base(name)
    {
    }

    /// <summary>What it consists of, where a single token may go through it in one operation with the rest of its layer; null elsewhere.</summary>
    internal virtual AttentionParts? Parts => null;

    internal abstract Tensor forward(Tensor x, AttentionContext context);
}
