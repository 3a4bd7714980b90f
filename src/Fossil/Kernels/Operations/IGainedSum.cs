using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>What DoRA computes of the base's product u and the factors' product l (rows, out), and back: y = g ⊙ s·l + (g − e) ⊙ t·u + o. In float32, rounded once; matrices are float32 or bfloat16.</summary>
internal interface IGainedSum
{
    /// <summary>y.</summary>
    /// <param name="output">y (rows, out); written.</param>
    /// <param name="change">l.</param>
    /// <param name="direct">u, in the dtype of y.</param>
    /// <param name="columns">What belongs to the columns: g, s, e, t, b.</param>
    /// <param name="addend">Added to y: (rows, out) in its dtype, or of no rows.</param>
    bool TryForward(in KernelMatrix output, in GainedChange change, in KernelMatrix direct, in GainedColumns columns, in KernelMatrix addend);

    /// <summary>The gradients.</summary>
    /// <param name="gradOutput">dy (rows, out).</param>
    /// <param name="change">l.</param>
    /// <param name="direct">u, in the dtype of dy.</param>
    /// <param name="columns">As before.</param>
    /// <param name="gradients">Where they go.</param>
    bool TryBackward(in KernelMatrix gradOutput, in GainedChange change, in KernelMatrix direct, in GainedColumns columns, in GainedGradients gradients);
}

/// <summary>l = H Bᵀ.</summary>
/// <param name="Left">H (rows, r) in 16 bits, r a multiple of 8; or l itself (rows, out).</param>
/// <param name="Right">B (out, r), which is rounded to 16 bits; of no rows where l is given.</param>
internal readonly record struct GainedChange(KernelMatrix Left, KernelMatrix Right)
{
    /// <summary>Whether l is given by its factors.</summary>
    public bool IsProduct => Right.Rows != 0;
}

/// <summary>What belongs to the columns of l and u.</summary>
/// <param name="Magnitude">m (1, out); g = m / n.</param>
/// <param name="Norm">n (1, out), float32.</param>
/// <param name="Bias">b (1, out), or of no rows. o = b; where u has it in it already, o = (1 − g) ⊙ b.</param>
/// <param name="IsInDirect">Whether u has b in it.</param>
/// <param name="ChangeScale">s.</param>
/// <param name="DirectScale">t.</param>
/// <param name="Given">e: how much of u is in what y is added to.</param>
internal readonly record struct GainedColumns(KernelMatrix Magnitude, KernelMatrix Norm, KernelMatrix Bias, bool IsInDirect, float ChangeScale, float DirectScale, float Given);

/// <summary>Where the gradients go.</summary>
/// <param name="Change">g ⊙ dy (rows, out); written.</param>
/// <param name="Direct">(g − e) ⊙ t·dy (rows, out), in the dtype of dy; written. It may be the same as <paramref name="Change"/>.</param>
/// <param name="Magnitude">Σ dy ⊙ (s·l + t·u − b, where b is in u) / n over the rows (1, out), float32; written, or with <paramref name="Adds"/> added to.</param>
/// <param name="Right">s·(g ⊙ dy)ᵀ H (out, r), float32, of factors; written. Of no rows where it is not wanted.</param>
/// <param name="Adds">Whether there were rows before.</param>
internal readonly record struct GainedGradients(KernelMatrix Change, KernelMatrix Direct, KernelMatrix Magnitude, KernelMatrix Right, bool Adds);
