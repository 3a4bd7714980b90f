using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Kernels;

/// <summary>What is computed from blocks of every type, against the values that ggml gives them.</summary>
internal static class BlockOperations
{
    /// <summary>All of them; none where there are no golden data.</summary>
    public static IEnumerable<KernelOperation> All() => DataFolders.GoldenQuantised is null ? [] : ((IEnumerable<object[]>)GoldenQuantisedCases.Blocks(onlyWritten: false)).SelectMany(row => Of((string)row[0]));

    private static IEnumerable<KernelOperation> Of(string name)
    {
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("blocks", name + ".safetensors"));
        var (values, bytes) = (reference.Load("values"), reference.Load("bytes"));
        var block = GgufBlock.For((GgufTensorType)(int)GoldenQuantisedCases.Block(name)["ggml_type"]!)!;
        var rows = bytes.view(values.shape[0], -1);
        yield return new($"{name} written out", () => [Weight(ScalarType.Float32).ToTensor(ScalarType.Float32)], () => [values.to(float64)], 1e-7, OnAnyThreads: true);
        yield return new($"{name} written out in bfloat16", () => [Weight(ScalarType.BFloat16).ToTensor(ScalarType.BFloat16)], () => [values.to(ScalarType.BFloat16).to(float64)], 0, OnAnyThreads: true);
        foreach (var count in (long[])[1, 5])
        {
            var input = randn([count, values.shape[1]]);
            yield return new($"{name} times {count} rows", () => [Weight(ScalarType.Float32).Product(input, null)], () => [input.to(float64).mm(values.to(float64).t())], 1e-5, OnAnyThreads: true);
        }

        BlockWeight Weight(ScalarType dtype) => new(rows, empty(0, dtype), block, default);
    }
}
