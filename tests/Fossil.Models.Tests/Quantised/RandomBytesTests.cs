using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Blocks of any bytes at all, scales that are no numbers among them.</summary>
public sealed class RandomBytesTests
{
    public static TheoryData<GgufTensorType> Types() => [.. Enum.GetValues<GgufTensorType>().Where(type => GgufBlock.For(type) is not null)];

    [Theory, MemberData(nameof(Types))]
    public void Written_out_in_bfloat16_they_are_their_numbers_rounded(GgufTensorType type)
    {
        using var scope = NewDisposeScope();
        var block = GgufBlock.For(type)!;
        // Of rows that are no whole number of what a kernel takes at once.
        var (rows, blocks) = (40, 7);
        var bytes = new byte[rows * blocks * block.Bytes];
        new Random(1).NextBytes(bytes);
        // All ones: NaN of every form of scale.
        bytes.AsSpan(0, 2 * block.Bytes).Fill(0xFF);
        var data = tensor(bytes, rows, blocks * block.Bytes);
        var (exact, rounded) = (Write(ScalarType.Float32), Write(ScalarType.BFloat16));
        Assert.True(rounded.allclose(exact.to(ScalarType.BFloat16), rtol: 0, atol: 0, equal_nan: true));
        Assert.True(exact.isfinite().any().item<bool>());

        Tensor Write(ScalarType dtype) => new BlockWeight(data, empty(0, dtype: dtype), block, default).ToTensor(dtype);
    }
}
