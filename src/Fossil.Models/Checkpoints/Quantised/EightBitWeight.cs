using Fossil.Adapters;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>A weight as numbers of eight bits (int8, or float8), with a scale for each block of rows and columns.</summary>
internal sealed class EightBitWeight : TiledWeight
{
    private readonly Tensor codes;
    private readonly Tensor dtype;
    private readonly EightBitLayout layout;
    private readonly MappedFileState? source;

    /// <summary>A weight over some codes.</summary>
    /// <param name="codes">The numbers (out, in), int8 or one of the floats of eight bits. Converted to another dtype they stay what they are.</param>
    /// <param name="dtype">An empty tensor of the dtype that is computed in: where a model is moved to another one, it goes along.</param>
    /// <param name="layout">How they are scaled.</param>
    /// <param name="source">The file whose own memory the codes are; null where they are not.</param>
    public EightBitWeight(Tensor codes, Tensor dtype, EightBitLayout layout, MappedFileState? source = null) => (this.codes, this.dtype, this.layout, this.source) = (codes, dtype, layout, source);

    public override long OutFeatures => codes.size(0);

    public override long InFeatures => codes.size(1);

    public override ScalarType Dtype => dtype.dtype;

    public override IReadOnlyList<Tensor> Data => [codes, dtype];

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new EightBitWeight(data[0], data[1], layout, source);

    internal override MappedFileState? SourceFile => codes.device_type == TorchSharp.DeviceType.CPU ? source : null;

    internal override EncodedForm? Encoded
    {
        get
        {
            var dtype = codes.dtype;
            var format = dtype == ScalarType.Int8 ? "Int8" : dtype == SafetensorsDtype.F8_E4M3.ToTorch() ? "Float8E4M3" : dtype == SafetensorsDtype.F8_E5M2.ToTorch() ? "Float8E5M2" : null;
            var block = Math.Min(layout.BlockColumns, InFeatures);
            // Kernels read eight neighbours, which have one scale.
            if (format is null || InFeatures % 8 != 0 || block % 8 != 0) return null;
            return new(format, codes, OutFeatures, InFeatures, InFeatures) { Scales = new(layout.OnDevices, layout.BlockRows, (InFeatures + block - 1) / block, block) };
        }
    }

    protected override Tensor Tile(RowRange rows, RowRange columns) => DeviceRows(rows.Start, null, rows.Count, columns) ?? TileByOperations(rows, columns);

    private Tensor TileByOperations(RowRange rows, RowRange columns)
    {
        using var scope = NewDisposeScope();
        var values = columns.ColumnsOf(rows.Of(codes)).to(ScalarType.Float32, copy: true);
        var scaleColumns = (InFeatures + layout.BlockColumns - 1) / layout.BlockColumns;
        var (firstRow, firstColumn) = (rows.Start / layout.BlockRows, columns.Start / layout.BlockColumns);
        for (var row = firstRow; row * layout.BlockRows < rows.Start + rows.Count; row++)
        {
            using var part = NewDisposeScope();
            var down = Part(row, layout.BlockRows, rows);
            var ofRow = layout.Scales.AsSpan((int)((row * scaleColumns) + firstColumn), (int)(((columns.Start + columns.Count - 1) / layout.BlockColumns) - firstColumn + 1)).ToArray();
            var scales = tensor(ofRow, device: values.device);
            if (ofRow.Length > 1) scales = scales.repeat_interleave(layout.BlockColumns).narrow(0, columns.Start - (firstColumn * layout.BlockColumns), columns.Count);
            down.Of(values).mul_(scales);
        }

        return values.to(Dtype).MoveToOuterDisposeScope();

        static RowRange Part(long block, long size, RowRange tile)
        {
            var start = Math.Max(block * size, tile.Start);
            return new RowRange(start - tile.Start, Math.Min(checked((block + 1) * size), tile.Start + tile.Count) - start);
        }
    }
}

/// <summary>How numbers of eight bits are scaled.</summary>
/// <param name="Scales">A scale for each block, row by row.</param>
/// <param name="BlockRows">Rows of a block.</param>
/// <param name="BlockColumns">Its columns.</param>
internal sealed record EightBitLayout(float[] Scales, long BlockRows, long BlockColumns)
{
    /// <summary>The scales.</summary>
    public DeviceFloats OnDevices { get; } = new(() => Scales);
}
