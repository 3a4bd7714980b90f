using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>A shard sum that one or more terms of a call use.</summary>
/// <param name="ShardSize">r.</param>
/// <param name="Range">The rows of the flattened input.</param>
/// <param name="Dropout">What is dropped of the input before the sum.</param>
internal readonly record struct ShardSumKey(int ShardSize, RowRange Range, DropoutMask Dropout)
{
    /// <summary>S (rows, r) of <paramref name="input"/> (rows, in).</summary>
    public Tensor Compute(Tensor input)
    {
        if (Dropout.IsNone) return ShardOperations.ShardSum(input, ShardSize);

        // The factor 1/(1-p) goes to the sum: there it is in float32, and cheaper.
        using var scope = NewDisposeScope();
        var part = Range.Of(input);
        var sum = ShardOperations.ShardSum(part * Dropout.For(part), ShardSize);
        return sum.mul_(Scalars.Of(Dropout.Scale)).MoveToOuterDisposeScope();
    }

    /// <summary>The rows of the sum that <paramref name="term"/> uses.</summary>
    public Tensor Rows(Tensor sum, ShardTerm term) => Within(term).Of(sum);

    /// <summary>Adds the gradient of a term's rows. One by itself stays in its dtype; a sum is in that of sums.</summary>
    public Tensor Accumulate(Tensor? total, Tensor gradient, ShardTerm term)
    {
        if (total is null && term.Rows == Range) return gradient;
        var accumulator = ShardOperations.Accumulator(gradient.dtype);
        total = total?.to(accumulator) ?? zeros(Range.Count, ShardSize, dtype: accumulator, device: gradient.device);
        using var rows = Within(term).Of(total).alias();
        rows.add_(gradient, Scalars.One);
        return total;
    }

    /// <summary>Adds the tiled gradient of the sum to the gradient of the input (rows, in).</summary>
    public void AddTiled(Tensor inputGradient, Tensor sumGradient)
    {
        if (Dropout.IsNone)
        {
            ShardOperations.AddTiled(inputGradient, sumGradient, ShardSize);
            return;
        }

        using var scope = NewDisposeScope();
        var part = Range.Of(inputGradient);
        var tiled = zeros(part.shape, dtype: sumGradient.dtype, device: part.device);
        ShardOperations.AddTiled(tiled, sumGradient.mul(Scalars.Of(Dropout.Scale)), ShardSize);
        part.add_(tiled.mul_(Dropout.For(part)), Scalars.One);
    }

    private RowRange Within(ShardTerm term) => new(term.Rows.Start - Range.Start, term.Rows.Count);
}
