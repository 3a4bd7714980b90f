using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// ‖W + s·B A‖ of each row, without that matrix: ‖W_j‖² + 2s·(W Aᵀ)_j·B_j + s²·B_j (A Aᵀ) B_jᵀ. The largest intermediate is (out, r).
/// </summary>
internal static class DoraNorm
{
    /// <summary>The norms (out), float32 (float64 for a float64 weight), without a gradient.</summary>
    /// <param name="weight">W (out, in).</param>
    /// <param name="a">A (r, in).</param>
    /// <param name="b">B (out, r).</param>
    /// <param name="scale">s.</param>
    public static Tensor Compute(Tensor weight, Tensor a, Tensor b, double scale)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var accumulator = ShardOperations.Accumulator(weight.dtype);
        var (factorA, factorB) = (a.to(accumulator), b.to(accumulator));
        var transposed = factorA.t();
        var squares = factorB.mm(factorA.mm(transposed)).mul_(factorB).sum(1).mul_(Scalars.Of(scale * scale));
        foreach (var (start, count) in ShardOperations.Blocks(weight, accumulator))
        {
            using var block = NewDisposeScope();
            var rows = weight.narrow(0, start, count).to(accumulator);
            var own = rows.norm(1).pow(Scalars.Two);
            var cross = rows.mm(transposed).mul_(factorB.narrow(0, start, count)).sum(1).mul_(Scalars.Of(2 * scale));
            squares.narrow(0, start, count).add_(own, Scalars.One).add_(cross, Scalars.One);
        }

        // Rounding can leave a row that cancels just below zero.
        return squares.clamp_(min: Scalars.Zero).sqrt_().MoveToOuterDisposeScope();
    }
}
