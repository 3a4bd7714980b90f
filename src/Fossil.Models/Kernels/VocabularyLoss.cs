using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Cross-entropy of hidden states h through a weight W, a block of the vocabulary at a time, each read once: with e = exp(h Wᵀ − m), m the largest logit so far, the sums Σ e and Σ e W are kept, and
/// multiplied by exp(m − m') where a block has a larger one. In the end the gradient of h is (Σ e W / Σ e − W_target) / count.
/// </summary>
internal sealed class VocabularyLoss
{
    /// <summary>Rows of hidden states that are taken at once.</summary>
    public const long RowsAtOnce = 1024;

    // Logits of a block stay in the last cache, and the matrix that a product lays out anew is small.
    private const long ColumnsAtOnce = 4096;

    private readonly IRunningSoftmax kernel;
    private readonly LinearWeight weight;

    private VocabularyLoss(IRunningSoftmax kernel, LinearWeight weight) => (this.kernel, this.weight) = (kernel, weight);

    /// <summary>The loss through <paramref name="weight"/>; null where no kernel takes it.</summary>
    public static VocabularyLoss? For(Tensor hidden, LinearWeight weight) =>
        weight.Dtype == hidden.dtype && KernelRegistry.Find<IRunningSoftmax>(weight.OutFeatures, hidden) is { } kernel ? new(kernel, weight) : null;

    /// <summary>The sum over rows, a float64 scalar.</summary>
    /// <param name="hidden">(rows, hidden_size).</param>
    /// <param name="targets">A token id for each row; a negative one does not count.</param>
    /// <param name="count">What the gradient is divided by.</param>
    /// <param name="gradient">Receives the gradient of <paramref name="hidden"/>; null where none is wanted.</param>
    public Tensor Run(Tensor hidden, long[] targets, long count, Tensor? gradient)
    {
        using var scope = NewDisposeScope();
        var rows = hidden.size(0);
        var state = zeros(rows, IRunningSoftmax.StateColumns, dtype: ScalarType.Float32, device: hidden.device);
        state.narrow(1, IRunningSoftmax.Largest, 1).fill_(Scalars.Of(double.NegativeInfinity));
        var factors = state.narrow(1, IRunningSoftmax.Factor, 1);
        var weighted = gradient is null ? null : zeros(hidden.shape, dtype: ScalarType.Float32, device: hidden.device);
        // One that is not there as numbers is written out a block at a time, always into the same memory.
        var written = weight.RowsPerTile >= weight.OutFeatures ? null : empty(Math.Min(ColumnsAtOnce, weight.OutFeatures), weight.InFeatures, dtype: weight.Dtype, device: weight.Device);
        for (var start = 0L; start < weight.OutFeatures; start += ColumnsAtOnce)
        {
            using var part = NewDisposeScope();
            var tile = Tile(start, Math.Min(ColumnsAtOnce, weight.OutFeatures - start), written);
            var logits = nn.functional.linear(hidden, tile);
            kernel.Run(KernelMatrix.Of(logits), KernelMatrix.Of(state), targets, start, gradient is not null);
            weighted?.mul_(factors).add_(logits.mm(tile), Scalars.One);
        }

        var sums = state.narrow(1, IRunningSoftmax.Sums, 16).sum(1, keepdim: true);
        using var ids = tensor(targets, device: hidden.device);
        var counts = ids.ge(Scalars.Zero).unsqueeze(1);
        var losses = sums.log().add(state.narrow(1, IRunningSoftmax.Largest, 1), Scalars.One).sub(state.narrow(1, IRunningSoftmax.Target, 1));
        gradient?.copy_(weighted!.div_(sums).sub_(weight.Lookup(ids.clamp(min: Scalars.Zero))).mul_(Scalars.Of(1.0 / count)).masked_fill_(counts.logical_not(), Scalars.Zero));
        return losses.masked_fill_(counts.logical_not(), Scalars.Zero).sum(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    private Tensor Tile(long start, long count, Tensor? memory)
    {
        if (memory is null) return weight.Rows(start, count);
        var tile = memory.narrow(0, 0, count);
        weight.WriteRows(start, tile);
        return tile;
    }
}
