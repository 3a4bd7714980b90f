using Fossil.CompilerServices;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>x Wᵀ of a single row where W is blocks: in whole numbers where the blocks are codes, otherwise as floats that are written into the first cache.</summary>
internal sealed unsafe class BlockRowProduct : RowProduct
{
    private readonly BlockWeight weight;
    private readonly byte* address;
    private readonly long rowBytes;

    public BlockRowProduct(BlockWeight weight)
    {
        (this.weight, rowBytes, OutFeatures, InFeatures) = (weight, weight.Bytes.size(1), weight.OutFeatures, weight.InFeatures);
        address = (byte*)NativeTensor.Data(weight.Bytes);
    }

    public override long OutFeatures { get; }

    public override long InFeatures { get; }

    public override bool ReadsCodes => weight.Block.Codes is not null;

    public override bool Reads(Tensor data) => ReferenceEquals(data, weight.Bytes) && NativeTensor.Data(data) == (nint)address;

    public override void Run(in RowInput input, long first, long end, float* output)
    {
        var block = weight.Block;
        for (var rows = weight.Order.AsInFile(first, end); rows.Next();)
        {
            byte* source = address + (rows.InFile * rowBytes);
            float* sum = output + (rows.Row - first);
            if (block.Codes is { } codes) *sum = codes.Run(source, InFeatures, input);
            else block.Multiply(source, InFeatures, input.Values, sum, 1);
        }
    }
}
