namespace Fossil;

/// <summary>The forms of shard sharing (arXiv 2409.15371, equations 4-7; PEFT: <c>init_weights</c> of <c>MissConfig</c>).</summary>
#if FOSSIL_COMPILER_PART
internal // Linked there, beside the run time's.
#else
public
#endif
enum FossilVariant
{
    /// <summary>One shard D (r, out); y = x Wᵀ + b + S D with S[…, j] = Σ_i x[…, i·r + j]. Needs in % r == 0 unless padding is allowed. PEFT: <c>true</c>.</summary>
    Balance,

    /// <summary>As <see cref="Balance"/>, with a narrow shard D (r, m) that is tiled out/m times along out. Needs also out % m == 0. PEFT: <c>"mini"</c>.</summary>
    Mini,

    /// <summary>One block D_i (r, r) for each r rows of W: ΔW_ij = W_ij D_i + D_i. Needs in % r == 0 and out % r == 0. PEFT: <c>"bat"</c>.</summary>
    Bat,
}
