using Fossil.Adapters;
using Fossil.Models.Kernels;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>A weight as bitsandbytes' codes of four bits (nf4, fp4): two a byte, the first in the high half, that stand for sixteen values; each block of elements has a scale.</summary>
internal sealed class FourBitWeight : TiledWeight
{
    private readonly Tensor codes;
    private readonly Tensor dtype;
    private readonly MappedFileState? source;

    /// <summary>A weight over some codes.</summary>
    /// <param name="codes">The codes, one after the other, uint8.</param>
    /// <param name="dtype">An empty tensor of the dtype that is computed in: where a model is moved to another one, it goes along.</param>
    /// <param name="layout">What the codes stand for.</param>
    /// <param name="source">The file whose own memory the codes are; null where they are not.</param>
    public FourBitWeight(Tensor codes, Tensor dtype, FourBitLayout layout, MappedFileState? source = null) => (this.codes, this.dtype, Layout, this.source) = (codes, dtype, layout, source);

    /// <summary>What the codes stand for.</summary>
    public FourBitLayout Layout { get; }

    /// <summary>The codes, uint8.</summary>
    public Tensor Codes => codes;

    public override long OutFeatures => Layout.Rows;

    public override long InFeatures => Layout.Columns;

    public override ScalarType Dtype => dtype.dtype;

    public override IReadOnlyList<Tensor> Data => [codes, dtype];

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new FourBitWeight(data[0], data[1], Layout, source);

    internal override MappedFileState? SourceFile => codes.device_type == TorchSharp.DeviceType.CPU ? source : null;

    // Kernels count blocks row by row, in whole bytes.
    internal override EncodedForm? Encoded => Layout is { Columns: var columns, BlockSize: var block } && columns >= block && columns % 8 == 0 && block % 8 == 0 && block <= int.MaxValue
        ? new("FourBits", codes, Layout.Rows, columns, columns / 2) { Scales = new(Layout.OnDevices, 1, columns / block, block), Stored = Layout.Computed }
        : null;

    protected override Tensor Tile(RowRange rows, RowRange columns) => DeviceRows(rows.Start, null, rows.Count, columns) ?? FourBitRows.Write(this, rows, columns);
}

/// <summary>What codes of four bits stand for.</summary>
/// <param name="Rows">Rows of the weight.</param>
/// <param name="Columns">Its columns.</param>
/// <param name="Values">The values of the sixteen codes, of scale 1.</param>
/// <param name="Scales">The scales.</param>
/// <param name="BlockSize">Elements of a block.</param>
/// <param name="Computed">The dtype that each value is rounded to: that which the weight had.</param>
internal sealed record FourBitLayout(long Rows, long Columns, float[] Values, BlockScales Scales, long BlockSize, ScalarType Computed)
{
    /// <summary>The values of the codes, and behind them the scales, each multiplied out.</summary>
    public DeviceFloats OnDevices { get; } = new(() => [.. Values, .. Enumerable.Range(0, checked((int)((Rows * Columns + BlockSize - 1) / BlockSize))).Select(block => Scales[block])]);

    // Blocks run on from row to row, and where rows are whole numbers of blocks, as in nearly every model, that is the same as counting them row by row. Elsewhere
    // bitsandbytes quantises in blocks that run on, but dequantises on a CPU with as many scales a row as there are whole blocks in it; adapters are trained over
    // what it dequantises, so that is what the weight is.

    /// <summary>The scale of an element.</summary>
    public float ScaleOf(long row, long column) => Scales[Columns >= BlockSize ? (row * (Columns / BlockSize)) + (column / BlockSize) : ((row * Columns) + column) / BlockSize];

    /// <summary>How many elements of a row from <paramref name="column"/> on have its scale.</summary>
    public long RunOf(long row, long column) => BlockSize - ((Columns >= BlockSize ? column : (row * Columns) + column) % BlockSize);
}
