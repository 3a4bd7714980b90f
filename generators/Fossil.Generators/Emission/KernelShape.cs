namespace Fossil.Generators.Emission;

/// <summary>How a chunk of r columns is laid over vectors of a width. All of it is known at compile time, so the loops have no inner conditions.</summary>
/// <param name="ShardSize">r.</param>
/// <param name="Bits">The vector width.</param>
internal sealed record KernelShape(int ShardSize, int Bits)
{
    /// <summary>How many vectors a pass over the chunks keeps in registers.</summary>
    private const int VectorsPerPass = 8;

    /// <summary>How many independent sums hide the latency of an addition.</summary>
    private const int IndependentSums = 4;

    /// <summary>Float32 lanes of a vector.</summary>
    public int Lanes => Bits / 32;

    /// <summary>Whether a chunk is narrower than a vector: then a block of several chunks is what fits into whole vectors.</summary>
    public bool IsNarrow => ShardSize < Lanes;

    /// <summary>Columns of a block: whole vectors and whole chunks at once (for narrow chunks).</summary>
    public int BlockColumns => ShardSize / Gcd(ShardSize, Lanes) * Lanes;

    /// <summary>How many chunks a step takes, so that enough sums are under way; 1 where a chunk has enough vectors itself.</summary>
    public int ChunksPerStep => ShardSize % Lanes == 0 ? Math.Max(1, IndependentSums / (ShardSize / Lanes)) : 1;

    /// <summary>
    /// Offsets of the vectors that cover a chunk. Where r is no multiple of the width, the last vector overlaps the one before, so that no lanes are left over.
    /// </summary>
    public IReadOnlyList<int> Offsets
    {
        get
        {
            var count = (ShardSize + Lanes - 1) / Lanes;
            return Enumerable.Range(0, count).Select(index => index == count - 1 ? ShardSize - Lanes : index * Lanes).ToList();
        }
    }

    /// <summary>Whether the last two vectors of a chunk overlap.</summary>
    public bool Overlaps => !IsNarrow && ShardSize % Lanes != 0;

    /// <summary>Columns of one pass of a wide chunk.</summary>
    public int PassColumns => VectorsPerPass * Lanes;

    /// <summary>
    /// How many passes of <see cref="PassColumns"/> a loop makes; the rest, <see cref="LastPass"/>, has at least two vectors where
    /// they overlap, so that both are in one pass.
    /// </summary>
    public int LoopedPasses => Offsets.Count <= VectorsPerPass ? 0 : (Offsets.Count - (Overlaps ? 2 : 1)) / VectorsPerPass;

    /// <summary>Offsets of the last pass.</summary>
    public IReadOnlyList<int> LastPass => Offsets.Skip(LoopedPasses * VectorsPerPass).ToList();

    /// <summary>Offsets of a looped pass, from its start.</summary>
    public IReadOnlyList<int> LoopedPass => Offsets.Take(VectorsPerPass).ToList();

    private static int Gcd(int left, int right) => right == 0 ? left : Gcd(right, left % right);
}
