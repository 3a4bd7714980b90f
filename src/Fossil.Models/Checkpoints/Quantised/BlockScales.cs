namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>The scale of each block of elements: float32, or bitsandbytes' double quantisation, codes of eight bits with a table, scales of their own and an offset.</summary>
internal sealed class BlockScales
{
    private readonly float[] scales;
    private readonly byte[]? codes;
    private readonly float[] table;
    private readonly long codesOfScale;
    private readonly float offset;

    /// <summary>Scales as they are.</summary>
    public BlockScales(float[] scales) => (this.scales, table) = (scales, []);

    /// <summary>Quantised scales: one is table[code] · scale + offset, each rounded on its own.</summary>
    /// <param name="codes">A code for each block.</param>
    /// <param name="table">What the 256 codes stand for.</param>
    /// <param name="scales">A scale for each <paramref name="codesOfScale"/> codes.</param>
    /// <param name="codesOfScale">How many codes have one scale.</param>
    /// <param name="offset">What is added.</param>
    public BlockScales(byte[] codes, float[] table, float[] scales, long codesOfScale, float offset) =>
        (this.codes, this.table, this.scales, this.codesOfScale, this.offset) = (codes, table, scales, codesOfScale, offset);

    /// <summary>The scale of a block.</summary>
    public float this[long block]
    {
        get
        {
            if (codes is null) return scales[block];
            var scaled = table[codes[block]] * scales[block / codesOfScale];
            return scaled + offset;
        }
    }
}
