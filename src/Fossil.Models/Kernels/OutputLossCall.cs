using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Mean cross-entropy of hidden states through an output layer that is not trained, in blocks: the logits, of which there are far more than hidden states, are never whole in memory. The gradient of
/// the hidden states is made along with the loss, while a block's logits are there, so nothing is computed twice and no logits are kept for the backward pass.
/// </summary>
/// <remarks>
/// Blocks of rows where a row is summed at once; in bfloat16, whose products lay out a matrix before they read it, blocks of the vocabulary too (<see cref="VocabularyLoss"/>).
/// </remarks>
internal sealed class OutputLossCall : AdapterCall
{
    // Logits of a block where no kernel says, and enough rows for a product at full speed.
    private const long BlockElements = 1 << 22, RowsMultiple = 32;

    private readonly CallInput hidden;
    private readonly Func<Tensor, Tensor> output;
    private readonly VocabularyLoss? vocabularyLoss;
    private readonly CrossEntropyTargets targets;
    private readonly long vocabulary;
    private CallTensor? gradient;

    private OutputLossCall(Tensor hidden, Func<Tensor, Tensor> output, LinearWeight? weight, CrossEntropyTargets targets, long vocabulary)
    {
        (this.hidden, this.output, this.targets, this.vocabulary) = (Input(hidden), output, targets, vocabulary);
        vocabularyLoss = weight is null ? null : VocabularyLoss.For(hidden, weight);
    }

    /// <summary>The mean over the rows whose target is not <see cref="CrossEntropyCall.Ignored"/>: a float32 scalar (float64 for such logits).</summary>
    /// <param name="hidden">(rows, hidden_size).</param>
    /// <param name="output">Hidden states to logits (rows, vocabulary), new tensors that may be overwritten; nothing in it is trained.</param>
    /// <param name="weight">The weight by which <paramref name="output"/> multiplies, where that is all it does; null otherwise.</param>
    /// <param name="targets">A token id for each row, int64.</param>
    /// <param name="vocabulary">The number of logits of a row.</param>
    /// <exception cref="Fossil.Training.NoLossItemsException">All are ignored.</exception>
    public static Tensor Run(Tensor hidden, Func<Tensor, Tensor> output, LinearWeight? weight, Tensor targets, long vocabulary) =>
        AdapterFunction.Run(new OutputLossCall(hidden, output, weight, CrossEntropyTargets.Read(targets, vocabulary), vocabulary));

    public override Tensor Forward()
    {
        using var forward = NewDisposeScope();
        var (rows, dtype) = (hidden.Value.size(0), hidden.Value.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32);
        // Added up where it lies: on a device nobody waits for a block.
        var total = zeros([], ScalarType.Float64, hidden.Value.device);
        var kept = IsRecorded ? SaveOwned(empty_like(hidden.Value)) : null;
        var step = vocabularyLoss is not null ? VocabularyLoss.RowsAtOnce : Math.Max(1, (KernelRegistry.Find<ICrossEntropy>(vocabulary, hidden.Value)?.ElementsAtOnce ?? BlockElements) / vocabulary / RowsMultiple) * RowsMultiple;
        for (var start = 0L; start < rows; start += step)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(step, rows - start);
            var (block, place) = (hidden.Value.narrow(0, start, count).detach(), kept?.Value.narrow(0, start, count));
            total.add_(vocabularyLoss is not null ? vocabularyLoss.Run(block, targets.Range(start, count), targets.Count, place) : Loss(block, targets.On(block.device, start, count), place), Scalars.One);
        }

        gradient = kept;
        return total.div_(Scalars.Of(targets.Count)).to(dtype).MoveToOuterDisposeScope();
    }

    public override void Backward(Tensor gradOutput)
    {
        // Seldom anything but 1.
        var scale = gradOutput.to(ScalarType.Float64).item<double>();
        hidden.Gradient = scale == 1 ? gradient!.Value.alias() : gradient!.Value.mul(Scalars.Of(scale));
    }

    /// <summary>The sum over the rows of a block, and where one is wanted the gradient of its hidden states.</summary>
    private Tensor Loss(Tensor block, Tensor ids, Tensor? blockGradient)
    {
        using var recorded = blockGradient is null ? null : enable_grad();
        if (blockGradient is not null) block.requires_grad_(true);
        var logits = output(block);
        var sum = Loss(logits, ids, blockGradient is not null);
        using var noGrad = no_grad();
        blockGradient?.copy_(block.grad!);
        return sum;
    }

    private Tensor Loss(Tensor logits, Tensor ids, bool isRecorded)
    {
        if (logits.is_contiguous() && KernelRegistry.Find<ICrossEntropy>(vocabulary, logits) is { } kernel)
        {
            var (values, losses) = (logits.detach(), empty(logits.size(0), 1, dtype: ScalarType.Float32, device: logits.device));
            kernel.Run(KernelMatrix.Of(values), KernelMatrix.Of(ids), KernelMatrix.Of(losses), isRecorded, 1f / targets.Count);
            if (isRecorded) logits.backward([values]);
            return losses.sum(ScalarType.Float64);
        }

        var wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        var loss = nn.functional.cross_entropy(wide, ids.squeeze(1), ignore_index: CrossEntropyCall.Ignored, reduction: nn.Reduction.Sum);
        if (isRecorded) loss.div(Scalars.Of(targets.Count)).backward();
        return loss.detach().to(ScalarType.Float64);
    }
}
