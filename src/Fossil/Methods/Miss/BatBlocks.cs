using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>
/// Bat's change of a weight (arXiv 2409.15371, equation 7): ΔW_ij = W_ij D_i + D_i for the r×r blocks W_ij of W (out, in), so W' = W (I + D) + D row block by row block.
/// A row block (r, in) is, without moving anything, a (r·in/r, r) matrix whose rows multiply D_i.
/// </summary>
internal static class BatBlocks
{
    /// <summary>The changed weight (out, in), new.</summary>
    /// <param name="weight">(out, in), contiguous.</param>
    /// <param name="shard">D (out/r, r, r), in the weight's dtype.</param>
    public static Tensor Apply(Tensor weight, Tensor shard) => Apply(weight, shard, weight.dtype);

    /// <summary>As <see cref="Apply(Tensor, Tensor)"/>, in the dtype of D, with the products W_ij D_i in <paramref name="productDtype"/>.</summary>
    public static Tensor Apply(Tensor weight, Tensor shard, ScalarType productDtype)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(weight, shard);
        var changed = rows.to(productDtype).bmm(shard.to(productDtype)).to(shard.dtype).add_(rows.to(shard.dtype), Scalars.One).view(weight.shape);
        Blocks(changed, shard).add_(shard.unsqueeze(2), Scalars.One);
        return changed.MoveToOuterDisposeScope();
    }

    /// <summary>As <see cref="Apply(Tensor, Tensor, ScalarType)"/>, of W in the dtype of the products and back in it.</summary>
    public static Tensor ApplyRounded(Tensor weight, Tensor shard)
    {
        var changed = empty_like(weight);
        if (!KernelRegistry.TryRun<IChangedBlocks>(shard.size(2), [changed, weight, shard], static (kernel, m) => kernel.TryApply(m[0], m[1], m[2])))
        {
            using var sum = Apply(weight, shard, weight.dtype);
            changed.copy_(sum);
        }

        return changed;
    }

    /// <summary>The weight before <see cref="Apply(Tensor, Tensor)"/>: (W' − D)(I + D)⁻¹, new.</summary>
    public static Tensor Invert(Tensor changed, Tensor shard)
    {
        using var scope = NewDisposeScope();
        var difference = changed.clone();
        Blocks(difference, shard).sub_(shard.unsqueeze(2));
        return Rows(difference, shard).bmm(linalg.inv(PlusIdentity(shard))).view(changed.shape).MoveToOuterDisposeScope();
    }

    /// <summary>The gradient of D, Σ_j W_ijᵀ G_ij + G_ij, in its dtype.</summary>
    /// <param name="gradient">G (out, in), that of the changed weight, in <paramref name="productDtype"/> or D's.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="shard">D (out/r, r, r).</param>
    /// <param name="productDtype">The dtype of the products.</param>
    public static Tensor ShardGradient(Tensor gradient, Tensor weight, Tensor shard, ScalarType productDtype)
    {
        using var scope = NewDisposeScope();
        var product = Rows(weight, shard).to(productDtype).transpose(1, 2).bmm(Rows(gradient, shard).to(productDtype)).to(shard.dtype);
        return product.add_(ShardOperations.ShardSum(gradient, (int)shard.size(2)).view(shard.shape), Scalars.One).MoveToOuterDisposeScope();
    }

    /// <summary>The gradient of W, given that of the changed weight: G_ij (I + D_i)ᵀ, in D's dtype.</summary>
    public static Tensor WeightGradient(Tensor gradient, Tensor shard, ScalarType productDtype)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(gradient, shard);
        var result = productDtype == shard.dtype ? rows.bmm(PlusIdentity(shard).transpose(1, 2)) : rows.to(productDtype).bmm(shard.to(productDtype).transpose(1, 2)).to(shard.dtype).add_(rows.to(shard.dtype), Scalars.One);
        return result.view(gradient.shape).MoveToOuterDisposeScope();
    }

    private static Tensor PlusIdentity(Tensor shard) => shard.add(eye(shard.size(1), dtype: shard.dtype, device: shard.device), Scalars.One);

    private static Tensor Rows(Tensor weight, Tensor shard) => weight.view(shard.size(0), weight.size(1), shard.size(1));

    private static Tensor Blocks(Tensor weight, Tensor shard) => weight.view(shard.size(0), shard.size(1), weight.size(1) / shard.size(1), shard.size(1));
}
