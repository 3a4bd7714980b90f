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
        var (u, s, vh) = iterations is { } count ? Randomised(weight.ToTensor(weight.Dtype), rank, count) : linalg.svd(weight.ToTensor(ShardOperations.Accumulator(weight.Dtype)), fullMatrices: false);
        var root = s.narrow(0, 0, rank).div(Scalars.Of(scale)).sqrt();
        var a = root.unsqueeze(1) * vh.narrow(0, 0, rank);
        var b = u.narrow(1, 0, rank) * root;
        return (a.to(ScalarType.Float32).contiguous().MoveToOuterDisposeScope(), b.to(ScalarType.Float32).contiguous().MoveToOuterDisposeScope());
    }

    /// <summary>
    /// The largest singular values by subspace iteration (Halko et al., arXiv 0909.4061, algorithms 4.4 and 5.1; as <c>torch.svd_lowrank</c> without oversampling). The matrix is read in its own dtype. It is
    /// the products that take the time: in between the basis is made orthonormal by the Cholesky factor of its products with itself (in float64), and by QR decompositions in the last step, where the directions of the smaller ones are decided.
    /// </summary>
    private static (Tensor U, Tensor S, Tensor Vh) Randomised(Tensor matrix, int rank, int iterations)
    {
        var dtype = ShardOperations.Accumulator(matrix.dtype);
        var (rows, columns) = (matrix.size(0), matrix.size(1));

        // It begins on the shorter side.
        using var generator = new Generator(Seed);
        var random = randn([Math.Min(rows, columns), rank], dtype: dtype, generator: generator).to(matrix.device);
        if (rows >= columns)
        {
            var basis = ShardOperations.TimesTransposed(matrix, random.t().contiguous());
            for (var i = 1; i <= iterations; i++)
            {
                var across = ShardOperations.TransposedTimes(NearlyOrthonormal(basis), matrix);
                basis = ShardOperations.TimesTransposed(matrix, i < iterations ? across : Orthonormal(across.t()).t().contiguous());
            }

            basis = Orthonormal(basis);
            var (u, s, vh) = OfFewRows(ShardOperations.TransposedTimes(basis, matrix));
            return (basis.mm(u), s, vh);
        }
        else
        {
            var basis = ShardOperations.TransposedTimes(random, matrix).t();
            for (var i = 1; i <= iterations; i++)
            {
                var across = ShardOperations.TimesTransposed(matrix, NearlyOrthonormal(basis).t().contiguous());
                basis = ShardOperations.TransposedTimes(i < iterations ? across : Orthonormal(across), matrix).t();
            }

            basis = Orthonormal(basis).t().contiguous();
            var (v, s, uh) = OfFewRows(ShardOperations.TimesTransposed(matrix, basis).t());
            return (uh.t(), s, v.t().mm(basis));
        }
    }

    /// <summary>Columns with the same span. Where they are too close to each other for the factor, by a QR decomposition.</summary>
    private static Tensor NearlyOrthonormal(Tensor columns)
    {
        var wide = columns.to(ScalarType.Float64);
        var (factor, info) = linalg.cholesky_ex(wide.t().mm(wide));
        return info.item<int>() == 0 ? columns.mm(linalg.inv(factor).t().to(columns.dtype)) : Orthonormal(columns);
    }

    private static Tensor Orthonormal(Tensor columns) => linalg.qr(columns).Q.contiguous();

    /// <summary>The decomposition of a matrix of few rows B by that of B Bᵀ, in float64, where singular values are as exact as in float32 without the square.</summary>
    private static (Tensor U, Tensor S, Tensor Vh) OfFewRows(Tensor matrix)
    {
        var wide = matrix.to(ScalarType.Float64);
        var (squares, vectors) = linalg.eigh(wide.mm(wide.t()));
        var (s, u) = (squares.flip(0).clamp_(min: Scalars.Zero).sqrt_(), vectors.flip(1));

        // What is nothing but rounding has no direction, and takes no part.
        var smallest = s.max().mul_(Scalars.Of(1e-9)).clamp_(min: Scalars.Of(1e-300));
        var vh = u.t().mm(wide).div_(s.maximum(smallest).unsqueeze(1));
        return (u.to(matrix.dtype), s.to(matrix.dtype), vh.to(matrix.dtype));
    }
}
