using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// PiSSA (arXiv 2404.02948; PEFT: <c>LoraLayer.pissa_init</c>): A and B start as the part of the weight with the largest singular values,
/// W = U S Vᵀ, A = √(S/s) Vᵀ, B = U √(S/s), and the base keeps W − s·B A. All in float32.
/// </summary>
internal static class Pissa
{
    /// <summary>Takes the part out of <paramref name="weight"/>, in place.</summary>
    /// <param name="weight">(out, in).</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">s.</param>
    /// <param name="iterations">Subspace iterations of the randomised decomposition; null for the exact one.</param>
    /// <returns>A (r, in) and B (out, r), float32.</returns>
    public static (Tensor A, Tensor B) TakeOut(Tensor weight, int rank, double scale, int? iterations)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var full = weight.to(ScalarType.Float32);
        var (u, s, vh) = iterations is { } count ? Randomised(full, rank, count) : linalg.svd(full, fullMatrices: false);
        var root = s.narrow(0, 0, rank).div(Scalars.Of(scale)).sqrt();
        var a = root.unsqueeze(1) * vh.narrow(0, 0, rank);
        var b = u.narrow(1, 0, rank) * root;
        weight.copy_(full - b.mm(a).mul_(Scalars.Of(scale)));
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    /// <summary>Adds s·B A to <paramref name="weight"/>, in place.</summary>
    public static void PutBack(Tensor weight, Tensor a, Tensor b, double scale)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var full = weight.to(ShardOperations.Accumulator(weight.dtype));
        var product = b.to(full.dtype, full.device).mm(a.to(full.dtype, full.device)).mul_(Scalars.Of(scale));
        weight.copy_(full.add(product, Scalars.One));
    }

    /// <summary>The largest singular values by subspace iteration (Halko et al., arXiv 0909.4061, algorithms 4.4 and 5.1; as <c>torch.svd_lowrank</c> without oversampling).</summary>
    private static (Tensor U, Tensor S, Tensor Vh) Randomised(Tensor matrix, int rank, int iterations)
    {
        // The basis is that of the shorter side.
        if (matrix.shape[0] < matrix.shape[1])
        {
            var (v, values, uh) = Randomised(matrix.t(), rank, iterations);
            return (uh.t(), values, v.t());
        }

        var basis = Orthonormal(matrix.mm(randn(matrix.shape[1], rank, dtype: matrix.dtype, device: matrix.device)));
        for (var i = 0; i < iterations; i++) basis = Orthonormal(matrix.mm(Orthonormal(matrix.t().mm(basis))));
        var (u, s, vh) = linalg.svd(basis.t().mm(matrix), fullMatrices: false);
        return (basis.mm(u), s, vh);
    }

    private static Tensor Orthonormal(Tensor columns) => linalg.qr(columns).Q;
}
