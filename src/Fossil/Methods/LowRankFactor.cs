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
/// <param name="Dtype">The dtype of the products: the accumulator's, or x's own; the same for all factors of a call.</param>
internal readonly record struct LowRankFactor(Tensor A, double Scale, DropoutMask Dropout, ScalarType Dtype)
{
    private double Factor => Scale * Dropout.Scale;

    private bool IsRounded => Dtype != A.dtype;

    /// <summary>s·A, rounded once.</summary>
    private Tensor Scaled => Factor == 1 ? A.to(Dtype) : A.mul(Scalars.Of(Factor)).to(Dtype);

    /// <summary>H (rows, r) of each factor, in <see cref="Dtype"/>.</summary>
    /// <param name="input">x (rows, in).</param>
    /// <param name="factors">At least one.</param>
    public static Tensor[] Hidden(Tensor input, IReadOnlyList<LowRankFactor> factors)
    {
        var dtype = factors[0].Dtype;
        Tensor[] hidden = [.. factors.Select(factor => empty(input.shape[0], factor.A.shape[0], dtype: dtype, device: input.device))];
        using var scope = NewDisposeScope();
        Tensor[] transposed = [.. factors.Select(factor => factor.Scaled.t())];
        var masks = Masks(input, factors);
        foreach (var (start, count) in ShardOperations.Blocks(input, dtype))
        {
            using var block = NewDisposeScope();
            var rows = input.narrow(0, start, count).to(dtype);
            for (var i = 0; i < factors.Count; i++) hidden[i].narrow(0, start, count).addmm_(Kept(rows, masks[i], start), transposed[i], beta: 0);
        }
        return hidden;
    }

    /// <summary>The gradient of each A; that of x is added to <paramref name="inputGradient"/>.</summary>
    /// <param name="input">x (rows, in); null where no gradient of an A is wanted.</param>
    /// <param name="factors">As in <see cref="Hidden"/>.</param>
    /// <param name="hiddenGradients">The gradient of each H, in <see cref="Dtype"/>.</param>
    /// <param name="inputGradient">(rows, in), contiguous, in x's dtype; null where none is wanted.</param>
    /// <param name="needsA">Whether the gradient of each A is wanted.</param>
    public static Tensor?[] Gradients(Tensor? input, IReadOnlyList<LowRankFactor> factors, IReadOnlyList<Tensor> hiddenGradients, Tensor? inputGradient, IReadOnlyList<bool> needsA)
    {
        var dtype = factors[0].Dtype;
        Tensor?[] gradients = [.. factors.Select((factor, i) => needsA[i] ? zeros_like(factor.A) : null)];
        using var scope = NewDisposeScope();
        if ((input ?? inputGradient) is not { } like) return gradients;

        // dx = s·dH A, with s on what is not rounded: dH, or A before it is.
        Tensor[] scaled = [.. factors.Select((factor, i) => factor.IsRounded ? hiddenGradients[i] : hiddenGradients[i].mul(Scalars.Of(factor.Factor)))];
        Tensor[] matrices = [.. factors.Select(factor => factor.IsRounded ? factor.Scaled : factor.A)];
        var masks = Masks(like, factors);
        foreach (var (start, count) in ShardOperations.Blocks(like, dtype))
        {
            using var block = NewDisposeScope();
            var rows = input?.narrow(0, start, count).to(dtype);
            var target = inputGradient?.narrow(0, start, count);
            var total = target is null || target.dtype == dtype ? target : zeros(target.shape, dtype: dtype, device: target.device);
            for (var i = 0; i < factors.Count; i++)
            {
                var gradient = scaled[i].narrow(0, start, count);
                if (factors[i].IsRounded) gradients[i]?.add_(gradient.t().mm(Kept(rows!, masks[i], start)), Scalars.Of(factors[i].Factor));
                else gradients[i]?.addmm_(gradient.t(), Kept(rows!, masks[i], start));
                if (masks[i] is { } mask) total?.add_(gradient.mm(matrices[i]).mul_(mask.narrow(0, start, count)), Scalars.One);
                else total?.addmm_(gradient, matrices[i]);
            }

            if (target is not null && total!.dtype != target.dtype) ShardOperations.AddRounded(target, total);
        }
        return gradients;
    }

    private static Tensor?[] Masks(Tensor input, IReadOnlyList<LowRankFactor> factors) => [.. factors.Select(factor => factor.Dropout.IsNone ? null : factor.Dropout.For(input))];

    private static Tensor Kept(Tensor rows, Tensor? mask, long start) => mask is null ? rows : rows * mask.narrow(0, start, rows.shape[0]);
}
