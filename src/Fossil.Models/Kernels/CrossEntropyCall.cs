using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Mean cross-entropy of logits (rows, vocabulary), computed in float32 without a float32 copy of them. Where a backward pass may follow, the gradient
/// (softmax − one-hot) / count replaces the logits in their own memory: they must be a temporary that nothing else reads.
/// </summary>
internal sealed class CrossEntropyCall : AdapterCall
{
    /// <summary>Marks a row that does not count.</summary>
    public const long Ignored = TokenBatch.IgnoredLabel;

    private readonly ICrossEntropy kernel;
    private readonly CallInput logits;
    private readonly long[] targets;
    private readonly long count;
    private bool spent;

    private CrossEntropyCall(ICrossEntropy kernel, Tensor logits, long[] targets, long count) =>
        (this.kernel, this.logits, this.targets, this.count) = (kernel, Input(logits), targets, count);

    /// <summary>The mean over the rows whose target is not <see cref="Ignored"/>: a float32 scalar (float64 for such logits).</summary>
    /// <param name="logits">(rows, vocabulary); consumed.</param>
    /// <param name="targets">A token id for each row, int64.</param>
    /// <exception cref="NoLossItemsException">All are ignored.</exception>
    public static Tensor Run(Tensor logits, Tensor targets)
    {
        if (logits.is_contiguous() && KernelRegistry.Find<ICrossEntropy>(logits.shape[1], logits) is { } kernel)
        {
            using var host = targets.cpu();
            var ids = host.data<long>().ToArray();
            Check(ids, logits.shape[1]);
            var count = ids.LongCount(id => id != Ignored);
            return AdapterFunction.Run(new CrossEntropyCall(kernel, logits, ids, count > 0 ? count : throw NoItems()));
        }

        using var scope = NewDisposeScope();
        if (!targets.ne(Scalars.Of(Ignored)).any().item<bool>()) throw NoItems();
        var wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        return nn.functional.cross_entropy(wide, targets, ignore_index: Ignored).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var x = logits.Value;
        var total = kernel.Run(KernelMatrix.Of(x), targets, IsRecorded, 1f / count);
        Save(logits);
        return tensor((float)(total / count), device: x.device);
    }

    public override void Backward(Tensor gradOutput)
    {
        if (spent) throw new InvalidOperationException("The gradient of a fused cross-entropy can be taken once.");
        spent = true;
        var gradient = logits.Value.detach();
        var scale = gradOutput.item<float>();
        // Seldom anything but 1; and then a power of two as a rule, so that this rounds nothing.
        if (scale != 1) gradient.mul_(Scalars.Of(scale));
        logits.Gradient = gradient;
    }

    private static NoLossItemsException NoItems() =>
        new($"No token counts in the loss: every label behind the first token is {Ignored}, or there is none. The mean over nothing does not exist; leave such batches out.");

    private static void Check(long[] targets, long vocabulary)
    {
        foreach (var id in targets)
        {
            if (id != Ignored && (id < 0 || id >= vocabulary))
            {
                throw new ArgumentOutOfRangeException(nameof(targets), id, $"A label is neither a token id below {vocabulary} nor {Ignored}, which marks a token that does not count.");
            }
        }
    }
}
