using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// PiSSA (arXiv 2404.02948; PEFT: <c>LoraLayer.pissa_init</c>): A₀ and B₀ are the part of the weight with the largest singular values, W = U S Vᵀ, A₀ = √(S/s) Vᵀ,
/// B₀ = U √(S/s), and the adapter trains A and B from there on a base of W − s·B₀ A₀. Here the weight stays W, and the adapter adds s·(B A − B₀ A₀), which is the
/// same function: so the base is there for whatever does not use the adapter.
/// </summary>
internal static class Pissa
{
    // The randomised decomposition of a weight is the same in every process.
    private const ulong Seed = 0;

    /// <summary>The part of <paramref name="weight"/> that the adapter starts from.</summary>
    /// <param name="weight">W, of which it needs all rows at once.</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">s.</param>
    /// <param name="iterations">Subspace iterations of the randomised decomposition; null for the exact one.</param>
    /// <returns>A₀ (r, in) and B₀ (out, r), float32.</returns>
    public static (Tensor A, Tensor B) Decompose(LinearWeight weight, int rank, double scale, int? iterations)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var full = weight.ToTensor(ShardOperations.Accumulator(weight.Dtype));
        var (u, s, vh) = iterations is { } count ? Randomised(full, rank, count) : linalg.svd(full, fullMatrices: false);
        var root = s.narrow(0, 0, rank).div(Scalars.Of(scale)).sqrt();
        var a = root.unsqueeze(1) * vh.narrow(0, 0, rank);
        var b = u.narrow(1, 0, rank) * root;
        return (a.to(ScalarType.Float32).contiguous().MoveToOuterDisposeScope(), b.to(ScalarType.Float32).contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>The largest singular values by subspace iteration (Halko et al., arXiv 0909.4061, algorithms 4.4 and 5.1; as <c>torch.svd_lowrank</c> without oversampling).</summary>
    private static (Tensor U, Tensor S, Tensor Vh) Randomised(Tensor matrix, int rank, int iterations)
    {
        // The basis is that of the shorter side.
        if (matrix.size(0) < matrix.size(1))
        {
            var (v, values, uh) = Randomised(matrix.t(), rank, iterations);
            return (uh.t(), values, v.t());
        }

        using var generator = new Generator(Seed);
        var random = randn([matrix.size(1), rank], dtype: matrix.dtype, generator: generator).to(matrix.device);
        var basis = Orthonormal(matrix.mm(random));
        for (var i = 0; i < iterations; i++) basis = Orthonormal(matrix.mm(Orthonormal(matrix.t().mm(basis))));
        var (u, s, vh) = linalg.svd(basis.t().mm(matrix), fullMatrices: false);
        return (basis.mm(u), s, vh);
    }

    private static Tensor Orthonormal(Tensor columns) => linalg.qr(columns).Q;
}
