using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods;

/// <summary>
/// The first factor of an adapter, for some rows: H = s·drop(x) Aᵀ, and its gradients. A 16-bit x is not converted as a whole: it goes through float32 a block of rows
/// at a time, once for all adapters of the rows.
/// </summary>
/// <param name="A">A (r, in), in the accumulator's dtype.</param>
/// <param name="Scale">s.</param>
/// <param name="Dropout">What is dropped of x.</param>
internal readonly record struct LowRankFactor(Tensor A, double Scale, DropoutMask Dropout)
{
    private double Factor => Scale * Dropout.Scale;

    /// <summary>H (rows, r) of each factor, in the accumulator's dtype.</summary>
    /// <param name="input">x (rows, in).</param>
    /// <param name="factors">At least one.</param>
    public static Tensor[] Hidden(Tensor input, IReadOnlyList<LowRankFactor> factors)
    {
        var accumulator = factors[0].A.dtype;
        Tensor[] hidden = [.. factors.Select(factor => empty(input.shape[0], factor.A.shape[0], dtype: accumulator, device: input.device))];
        using var scope = NewDisposeScope();
        Tensor[] transposed = [.. factors.Select(factor => factor.A.mul(Scalars.Of(factor.Factor)).t())];
        var masks = Masks(input, factors);
        foreach (var (start, count) in ShardOperations.Blocks(input, accumulator))
        {
            using var block = NewDisposeScope();
            var rows = input.narrow(0, start, count).to(accumulator);
            for (var i = 0; i < factors.Count; i++) hidden[i].narrow(0, start, count).addmm_(Kept(rows, masks[i], start), transposed[i], beta: 0);
        }
        return hidden;
    }

    /// <summary>The gradient of each A; that of x is added to <paramref name="inputGradient"/>.</summary>
    /// <param name="input">x (rows, in); null where no gradient of an A is wanted.</param>
    /// <param name="factors">As in <see cref="Hidden"/>.</param>
    /// <param name="hiddenGradients">The gradient of each H.</param>
    /// <param name="inputGradient">(rows, in), contiguous, in x's dtype; null where none is wanted.</param>
    /// <param name="needsA">Whether the gradient of each A is wanted.</param>
    public static Tensor?[] Gradients(Tensor? input, IReadOnlyList<LowRankFactor> factors, IReadOnlyList<Tensor> hiddenGradients, Tensor? inputGradient, IReadOnlyList<bool> needsA)
    {
        var accumulator = factors[0].A.dtype;
        Tensor?[] gradients = [.. factors.Select((factor, i) => needsA[i] ? zeros_like(factor.A) : null)];
        using var scope = NewDisposeScope();
        Tensor[] scaled = [.. factors.Select((factor, i) => hiddenGradients[i].mul(Scalars.Of(factor.Factor)))];
        if ((input ?? inputGradient) is not { } like) return gradients;
        var masks = Masks(like, factors);
        foreach (var (start, count) in ShardOperations.Blocks(like, accumulator))
        {
            using var block = NewDisposeScope();
            var rows = input?.narrow(0, start, count).to(accumulator);
            var target = inputGradient?.narrow(0, start, count);
            var total = target is null || target.dtype == accumulator ? target : zeros(target.shape, dtype: accumulator, device: target.device);
            for (var i = 0; i < factors.Count; i++)
            {
                var gradient = scaled[i].narrow(0, start, count);
                gradients[i]?.addmm_(gradient.t(), Kept(rows!, masks[i], start));
                if (masks[i] is { } mask) total?.add_(gradient.mm(factors[i].A).mul_(mask.narrow(0, start, count)), Scalars.One);
                else total?.addmm_(gradient, factors[i].A);
            }

            if (target is not null && total!.dtype != target.dtype) ShardOperations.AddRounded(target, total);
        }
        return gradients;
    }

    private static Tensor?[] Masks(Tensor input, IReadOnlyList<LowRankFactor> factors) => [.. factors.Select(factor => factor.Dropout.IsNone ? null : factor.Dropout.For(input))];

    private static Tensor Kept(Tensor rows, Tensor? mask, long start) => mask is null ? rows : rows * mask.narrow(0, start, rows.shape[0]);
}
