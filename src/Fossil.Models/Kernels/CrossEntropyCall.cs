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
    private readonly CrossEntropyTargets targets;
    private bool spent;

    private CrossEntropyCall(ICrossEntropy kernel, Tensor logits, CrossEntropyTargets targets) => (this.kernel, this.logits, this.targets) = (kernel, Input(logits), targets);

    /// <summary>The mean over the rows whose target is not <see cref="Ignored"/>: a float32 scalar (float64 for such logits).</summary>
    /// <param name="logits">(rows, vocabulary); consumed.</param>
    /// <param name="targets">A token id for each row, int64.</param>
    /// <exception cref="NoLossItemsException">All are ignored.</exception>
    public static Tensor Run(Tensor logits, Tensor targets)
    {
        var ids = CrossEntropyTargets.Read(targets, logits.size(1));
        if (logits.is_contiguous() && KernelRegistry.Find<ICrossEntropy>(logits.size(1), logits) is { } kernel) return AdapterFunction.Run(new CrossEntropyCall(kernel, logits, ids));

        using var scope = NewDisposeScope();
        var wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        return nn.functional.cross_entropy(wide, targets, ignore_index: Ignored).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var x = logits.Value;
        Save(logits);
        using var scope = NewDisposeScope();
        var losses = empty(x.size(0), 1, dtype: ScalarType.Float32, device: x.device);
        kernel.Run(KernelMatrix.Of(x), KernelMatrix.Of(targets.On(x.device, 0, x.size(0))), KernelMatrix.Of(losses), IsRecorded, 1f / targets.Count);
        return losses.sum(ScalarType.Float64).div_(Scalars.Of(targets.Count)).to(ScalarType.Float32).MoveToOuterDisposeScope();
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
}
