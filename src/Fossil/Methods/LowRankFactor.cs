using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods;

/// <summary>
/// The first factor of an adapter, for some rows: H = s·drop(x) Aᵀ, and its gradients. A 16-bit x is not converted as a whole: kernels read it where it lies, libtorch's operations a block of rows at a time.
/// </summary>
/// <param name="A">A (r, in), in the accumulator's dtype.</param>
/// <param name="Scale">s.</param>
/// <param name="Dropout">What is dropped of x.</param>
/// <param name="Dtype">The dtype of the products: the accumulator's, or x's own; the same for all factors of a call.</param>
internal readonly record struct LowRankFactor(Tensor A, double Scale, DropoutMask Dropout, ScalarType Dtype)
{
    private double Factor => Scale * Dropout.Scale;

    private bool IsRounded => Dtype != A.dtype;

    /// <summary>The product that adds dx to a sum, dH (s·A): null where libtorch's operations are to make it, or where x was dropped in part.</summary>
    public (Tensor Left, Tensor Right)? ProductOf(Tensor hiddenGradient) => IsRounded && Dropout.IsNone && Scale == 1 ? (hiddenGradient, A) : null;

    /// <summary>s·A, to be rounded once.</summary>
    private Tensor Scaled => Factor == 1 ? A : A.mul(Scalars.Of(Factor));

    /// <summary>H (rows, r) of each factor, in <see cref="Dtype"/>.</summary>
    /// <param name="input">x (rows, in), contiguous.</param>
    /// <param name="factors">At least one.</param>
    public static Tensor[] Hidden(Tensor input, IReadOnlyList<LowRankFactor> factors) => [.. factors.Select(factor => factor.HiddenOf(input))];

    /// <summary>The gradient of each A; that of x is added to <paramref name="inputGradient"/>.</summary>
    /// <param name="input">x (rows, in), contiguous; null where no gradient of an A is wanted.</param>
    /// <param name="factors">As in <see cref="Hidden"/>.</param>
    /// <param name="hiddenGradients">The gradient of each H, in <see cref="Dtype"/>.</param>
    /// <param name="inputGradient">(rows, in), contiguous, in x's dtype; null where none is wanted.</param>
    /// <param name="needsA">Whether the gradient of each A is wanted.</param>
    public static Tensor?[] Gradients(Tensor? input, IReadOnlyList<LowRankFactor> factors, IReadOnlyList<Tensor> hiddenGradients, Tensor? inputGradient, IReadOnlyList<bool> needsA)
    {
        Tensor?[] gradients = [.. factors.Select((factor, i) => needsA[i] ? factor.GradientOfA(input!, hiddenGradients[i]) : null)];
        if (inputGradient is null) return gradients;
        using var scope = NewDisposeScope();

        // dx = s·dH A, with s on what is not rounded: dH, or A before it is.
        (Tensor Gradient, Tensor A)[] products = [.. factors.Select((factor, i) => factor.IsRounded ? (hiddenGradients[i], factor.Scaled.to(factor.Dtype)) : (hiddenGradients[i].mul(Scalars.Of(factor.Factor)), factor.A))];
        if (factors.All(factor => factor.Dropout.IsNone))
        {
            ShardOperations.AddProducts(inputGradient, products);
            return gradients;
        }

        Tensor?[] masks = [.. factors.Select(factor => factor.Dropout.IsNone ? null : factor.Dropout.For(inputGradient))];
        foreach (var (start, count) in ShardOperations.Blocks(inputGradient, factors[0].Dtype))
        {
            using var block = NewDisposeScope();
            var target = inputGradient.narrow(0, start, count);
            Tensor? total = null;
            foreach (var ((gradient, a), mask) in products.Zip(masks))
            {
                var part = gradient.narrow(0, start, count).mm(a);
                if (mask is not null) part.mul_(mask.narrow(0, start, count));
                total = total?.add_(part, Scalars.One) ?? part;
            }

            ShardOperations.AddRounded(target, total!);
        }
        return gradients;
    }

    private Tensor HiddenOf(Tensor input)
    {
        using var scope = NewDisposeScope();
        var kept = Kept(input);
        return (IsRounded ? ProductSum.Of(kept, Scaled.t(), Dtype) : ShardOperations.TimesTransposed(kept, Scaled)).MoveToOuterDisposeScope();
    }

    private Tensor GradientOfA(Tensor input, Tensor hiddenGradient)
    {
        using var scope = NewDisposeScope();
        var kept = Kept(input);
        return (IsRounded ? ProductSum.OfTransposed(hiddenGradient, kept, Factor) : ShardOperations.TransposedTimes(hiddenGradient.mul(Scalars.Of(Factor)), kept)).MoveToOuterDisposeScope();
    }

    private Tensor Kept(Tensor input)
    {
        var kept = Dropout.IsNone ? input : input * Dropout.For(input);
        return IsRounded ? kept.to(Dtype) : kept;
    }
}
