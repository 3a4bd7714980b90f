using Fossil.Models.Kernels;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models;

// What a Trainer needs of the decoder.
public sealed partial class LlamaForCausalLM
{
    /// <summary>Mean cross-entropy of a batch in nats, a float32 scalar. Logits are computed only at the positions that count in the loss.</summary>
    /// <param name="batch">The batch, on any device.</param>
    public Tensor loss(TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        var device = model.Embedding.Weight.device;
        var hidden = model.forward(batch.InputIds.to(device), attentionMask: null, cache: null);
        var counted = hidden.reshape(-1, hidden.shape[2]).index_select(0, batch.LossPositions.to(device));
        return CrossEntropyCall.Run(Logits(counted), batch.Targets.to(device)).MoveToOuterDisposeScope();
    }
}
