using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// Sequences of tokens, padded on the right to the same length. A causal model needs no mask for that: no token sees the padding behind it.
/// </summary>
/// <param name="inputIds">Token ids, (batch, length), int64.</param>
/// <param name="lossPositions">Positions in the flattened (batch · length) whose next token counts in the loss, int64.</param>
/// <param name="targets">The next tokens at these positions, int64.</param>
/// <param name="tokens">Tokens without the padding.</param>
public sealed class TokenBatch(Tensor inputIds, Tensor lossPositions, Tensor targets, long tokens) : ITrainingBatch
{
    /// <summary>The label of a token that does not count in the loss (PyTorch: <c>ignore_index</c>).</summary>
    public const int IgnoredLabel = -100;

    /// <summary>Token ids, (batch, length), int64.</summary>
    public Tensor InputIds { get; } = inputIds;

    /// <summary>
    /// Positions in the flattened (batch · length) whose next token counts in the loss, int64. A model may compute the logits of these alone.
    /// </summary>
    public Tensor LossPositions { get; } = lossPositions;

    /// <summary>The next tokens at these positions, int64.</summary>
    public Tensor Targets { get; } = targets;

    /// <summary>
    /// For each token the position in its row of the first token of its example, (batch, length), int64, at most its own position: it sees nothing before, and positions count from there.
    /// Null where each row is one example. A model that does not heed it lets packed examples see each other.
    /// </summary>
    public Tensor? ExampleStarts { get; init; }

    /// <inheritdoc/>
    public long Tokens { get; } = tokens;

    /// <inheritdoc/>
    public long LossItems => Targets.numel();

    /// <summary>The mean cross entropy of logits over the whole batch.</summary>
    /// <param name="logits">(batch, length, vocabulary), any float dtype and device; the loss is computed in float32.</param>
    /// <returns>A scalar, float32.</returns>
    /// <exception cref="NoLossItemsException">No token of the batch counts in the loss.</exception>
    public Tensor Loss(Tensor logits)
    {
        using var scope = NewDisposeScope();
        return LossAtPositions(logits.reshape(-1, logits.size(-1)).index_select(0, LossPositions.to(logits.device))).MoveToOuterDisposeScope();
    }

    /// <summary>The mean cross entropy of logits at <see cref="LossPositions"/> alone.</summary>
    /// <param name="logits">(positions, vocabulary), any float dtype and device; the loss is computed in float32.</param>
    /// <returns>A scalar, float32.</returns>
    /// <exception cref="NoLossItemsException">No token of the batch counts in the loss.</exception>
    public Tensor LossAtPositions(Tensor logits)
    {
        if (LossItems == 0) throw new NoLossItemsException($"No token of this batch of {InputIds.size(0)} sequences counts in the loss, so that its mean does not exist. Leave such batches out: {nameof(LossItems)} is 0.");
        using var scope = NewDisposeScope();
        return nn.functional.cross_entropy(logits.to(ScalarType.Float32), Targets.to(logits.device)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        InputIds.Dispose();
        ExampleStarts?.Dispose();
        LossPositions.Dispose();
        Targets.Dispose();
    }
}
