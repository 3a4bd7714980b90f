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
}
