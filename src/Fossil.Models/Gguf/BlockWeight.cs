using System.Runtime.InteropServices;
using Fossil.Adapters;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Kernels;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>A weight as the blocks of a GGUF file, in the file's own memory or a copy of it.</summary>
internal sealed class BlockWeight : TiledWeight
{
    // Rows that are quantised at a time: bounds what is held beside the weight.
    private const long QuantisedRows = 256;

    private readonly Tensor bytes;
    private readonly Tensor dtype;
    private readonly MappedFileState? source;

    /// <summary>A weight over some bytes.</summary>
    /// <param name="bytes">The rows' blocks in the file's order (rows, bytes of a row), uint8.</param>
    /// <param name="dtype">An empty tensor of the dtype that is computed in: where a model is moved to another one, it goes along.</param>
    /// <param name="block">What the bytes are.</param>
    /// <param name="order">The order of the rows.</param>
    /// <param name="source">The file whose own memory the bytes are; null where they are not.</param>
    public BlockWeight(Tensor bytes, Tensor dtype, GgufBlock block, HeadOrder order, MappedFileState? source = null)
    {
        (this.bytes, this.dtype, Block, Order, this.source) = (bytes, dtype, block, order, source);
        (OutFeatures, InFeatures, Data) = (bytes.size(0), bytes.size(1) / block.Bytes * block.Elements, [bytes, dtype]);
    }

    /// <summary>A weight quantised to blocks that are written here, of whose elements its width is a multiple.</summary>
    public static BlockWeight Quantise(LinearWeight weight, GgufBlock block)
    {
        using var noGrad = no_grad();
        var bytes = empty(weight.OutFeatures, weight.InFeatures / block.Elements * block.Bytes, dtype: ScalarType.Byte);
        foreach (var piece in RowRange.Pieces(weight.OutFeatures, QuantisedRows))
        {
            using var scope = NewDisposeScope();
            var values = weight.Rows(piece.Start, piece.Count).to(ScalarType.Float32).cpu().contiguous();
            GgufWriter.Quantise(block, MemoryMarshal.Cast<byte, float>(values.bytes)).CopyTo(bytes.narrow(0, piece.Start, piece.Count).bytes);
        }

        return new BlockWeight(bytes.to(weight.Device), empty(0, dtype: weight.Dtype, device: weight.Device), block, default);
    }

    /// <summary>The blocks' type.</summary>
    public GgufBlock Block { get; }

    /// <summary>The order of the rows in <see cref="Bytes"/>.</summary>
    public HeadOrder Order { get; }

    /// <summary>The rows' blocks in the file's order, (rows, bytes of a row), uint8.</summary>
    public Tensor Bytes => bytes;

    public override long OutFeatures { get; }

    public override long InFeatures { get; }

    public override ScalarType Dtype => dtype.dtype;

    public override IReadOnlyList<Tensor> Data { get; }

    internal override MappedFileState? SourceFile => bytes.device_type == TorchSharp.DeviceType.CPU ? source : null;

    internal override EncodedForm Encoded => new(Block.Type.ToString(), bytes, OutFeatures, InFeatures, bytes.size(1)) { HeadRows = Order.HeadRows };

    protected override long ColumnMultiple => Block.Elements;

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new BlockWeight(data[0], data[1], Block, Order, source);

    public override Tensor Product(Tensor input, Tensor? bias) => DeviceProduct(input, bias) ?? BlockProduct.TryRun(this, input, bias, isExact: true) ?? base.Product(input, bias);

    internal override Tensor DecodingProduct(Tensor input, Tensor? bias) => DeviceProduct(input, bias) ?? BlockProduct.TryRun(this, input, bias, isExact: false) ?? base.Product(input, bias);

    internal override RowProduct? OneRow() => Device.type == TorchSharp.DeviceType.CPU ? new BlockRowProduct(this) : null;

    protected override Tensor Tile(RowRange rows, RowRange columns) => DeviceRows(rows.Start, null, rows.Count, columns) ?? BlockRows.Write(this, rows.Start, null, rows.Count, columns);

    internal override void WriteRows(long start, Tensor destination)
    {
        if (!BlockRows.TryWrite(this, start, destination)) base.WriteRows(start, destination);
    }

    internal override Tensor Lookup(Tensor indices)
    {
        var numbers = Numbers(indices);
        var columns = new RowRange(0, InFeatures);
        using var rows = DeviceRows(0, numbers, numbers.Length, columns) ?? BlockRows.Write(this, 0, numbers, numbers.Length, columns);
        return rows.view([.. indices.shape, InFeatures]);
    }
}
