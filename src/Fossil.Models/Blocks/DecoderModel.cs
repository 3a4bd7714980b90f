using Fossil.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>A decoder without its output layer: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
public abstract class DecoderModel : Module, ISupportsGradientCheckpointing
{
    private protected DecoderModel(string name) : base(name)
    {
    }

    /// <inheritdoc/>
    public bool GradientCheckpointing { get; set; }

    internal abstract TokenEmbedding Embedding { get; }

    /// <summary>Whether the backward pass computes the layers again.</summary>
    private protected bool Recomputes => GradientCheckpointing && training;

    internal abstract Tensor forward(DecoderInput input);
}
