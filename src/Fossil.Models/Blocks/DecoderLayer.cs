using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>One layer of a decoder: hidden states (batch, tokens, hidden_size) to hidden states.</summary>
public abstract class DecoderLayer : Module
{
    private protected DecoderLayer(string name) : base(name)
    {
    }

    /// <summary>What it consists of, where a single token may go through it in one operation; null elsewhere.</summary>
    internal virtual LayerParts? Parts => null;

    internal abstract Tensor forward(Tensor x, AttentionContext context);
}
