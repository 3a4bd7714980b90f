using Fossil.Concurrency;
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

    /// <summary>As <see cref="Apply(Tensor, Tensor)"/>, with the products W_ij D_i in <paramref name="productDtype"/>.</summary>
    public static Tensor Apply(Tensor weight, Tensor shard, ScalarType productDtype)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(weight, shard);
        var changed = rows.to(productDtype).bmm(shard.to(productDtype)).to(weight.dtype).add_(rows, Scalars.One).view(weight.shape);
        Blocks(changed, shard).add_(shard.unsqueeze(2), Scalars.One);
        return changed.MoveToOuterDisposeScope();
    }

    /// <summary>The weight before <see cref="Apply(Tensor, Tensor)"/>: (W' − D)(I + D)⁻¹, new.</summary>
    public static Tensor Invert(Tensor changed, Tensor shard)
    {
        using var scope = NewDisposeScope();
        var difference = changed.clone();
        Blocks(difference, shard).sub_(shard.unsqueeze(2));
        return Rows(difference, shard).bmm(linalg.inv(PlusIdentity(shard))).view(changed.shape).MoveToOuterDisposeScope();
    }

    /// <summary>The gradients of <see cref="Apply(Tensor, Tensor, ScalarType)"/>, given that of the changed weight: of D, and of the weight.</summary>
    public static (Tensor Shard, Tensor Weight) Gradients(Tensor gradient, Tensor weight, Tensor shard, ScalarType productDtype)
    {
        using var scope = NewDisposeScope();
        var rows = Rows(gradient, shard);
        var productRows = rows.to(productDtype);
        var shardGradient = Rows(weight, shard).to(productDtype).transpose(1, 2).bmm(productRows).to(shard.dtype).add_(Blocks(gradient, shard).sum(2), Scalars.One);
        var weightGradient = productDtype == shard.dtype ? rows.bmm(PlusIdentity(shard).transpose(1, 2)) : productRows.bmm(shard.to(productDtype).transpose(1, 2)).to(shard.dtype).add_(rows, Scalars.One);
        return (shardGradient.MoveToOuterDisposeScope(), weightGradient.view(gradient.shape).MoveToOuterDisposeScope());
    }

    private static Tensor PlusIdentity(Tensor shard) => shard.add(eye(shard.shape[1], dtype: shard.dtype, device: shard.device), Scalars.One);

    private static Tensor Rows(Tensor weight, Tensor shard) => weight.view(shard.shape[0], weight.shape[1], shard.shape[1]);

    private static Tensor Blocks(Tensor weight, Tensor shard) => weight.view(shard.shape[0], shard.shape[1], weight.shape[1] / shard.shape[1], shard.shape[1]);
}
