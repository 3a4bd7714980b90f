using Fossil.Models.Gguf;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;
using Bytes = Fossil.Models.Tests.Gguf.GgufBytes;

namespace Fossil.Models.Tests.Gguf;

/// <summary>Every block type against ggml's reference, one test a type.</summary>
public sealed class GoldenQuantisedBlockTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Types() => GoldenQuantisedCases.Blocks(onlyWritten: false);

    public static TheoryData<string> WrittenTypes() => GoldenQuantisedCases.Blocks(onlyWritten: true);

    [SkippableTheory, MemberData(nameof(Types))]
    public void Dequantises_as_ggml_does(string name)
    {
        var golden = GoldenQuantisedCases.Block(name);
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("blocks", name + ".safetensors"));
        var (number, elements) = ((int)golden["ggml_type"]!, (int)golden["block"]!);
        Check(number, elements, reference.Load("bytes"), reference.Load("values"));
        if ((bool)golden["quantised"]!) Check(number, elements, reference.Load("quantised"), reference.Load("quantised_values"));
    }

    [SkippableTheory, MemberData(nameof(WrittenTypes))]
    public void Quantises_to_ggmls_bytes(string name)
    {
        var type = (GgufTensorType)(int)GoldenQuantisedCases.Block(name)["ggml_type"]!;
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("blocks", name + ".safetensors"));
        var (weights, expected) = (reference.Load("weights"), reference.Load("quantised").bytes.ToArray());
        GgufWriter.Save(folder["model.gguf"], [], [new GgufTensorSource("t", type, weights.shape, weights.alias)]);
        Assert.Equal(expected, File.ReadAllBytes(folder["model.gguf"])[^((expected.Length + 31) / 32 * 32)..][..expected.Length]);
    }

    public void Dispose() => folder.Dispose();

    private void Check(int type, int elements, Tensor bytes, Tensor expected)
    {
        var (rows, columns) = (expected.shape[0], expected.shape[1]);
        Assert.Equal(0, columns % elements);
        File.WriteAllBytes(folder["model.gguf"], new Bytes().Tensor("t", (uint)type, [(ulong)columns, (ulong)rows], bytes.bytes.ToArray()).Build());
        using var file = GgufFile.Open(folder["model.gguf"]);
        var values = file.Load("t");
        Assert.True(values.allclose(expected, rtol: 1e-6, atol: 0), $"Largest difference {(values - expected).abs().max().item<float>()}.");
    }
}
