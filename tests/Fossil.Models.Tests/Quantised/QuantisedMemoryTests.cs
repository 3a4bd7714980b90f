using Fossil.Models.Gguf;
using Fossil.TestData;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Memory of models over blocks, each in a process of its own.</summary>
public sealed class QuantisedMemoryTests : IDisposable
{
    private const long MB = 1_000_000;

    private static readonly LlamaConfig Config = new()
    {
        VocabSize = 8192,
        HiddenSize = 1024,
        IntermediateSize = 4096,
        NumHiddenLayers = 4,
        NumAttentionHeads = 16,
        NumKeyValueHeads = 4,
        HeadDim = 64,
        InitializerRange = 0.02,
    };

    private readonly TemporaryFolder folder = new();

    [SkippableTheory]
    [InlineData(GgufTensorType.Q4_0)]
    [InlineData(GgufTensorType.Q6_K)]
    public async Task A_model_takes_its_files_bytes_and_a_step_its_activations_and_a_tile_a_thread(GgufTensorType type)
    {
        Skip.IfNot(File.Exists("/proc/self/clear_refs"), "The memory of a process is read from /proc.");
        var path = folder["model.gguf"];
        RandomBlocks.Write(path, Config, type);
        using var file = GgufFile.Open(path);
        var bytes = file.Tensors.Sum(tensor => tensor.ByteCount);
        // What the code of libtorch, .NET and this library takes, a model of next to nothing tells, which runs through all of it.
        RandomBlocks.Write(folder["small.gguf"], Config with { VocabSize = 1024, HiddenSize = 256, IntermediateSize = 256, NumHiddenLayers = 2, NumAttentionHeads = 4 }, type);
        var empty = await QuantisedMemory.InProcess(QuantisedMemory.Mapped, folder["small.gguf"]);
        var expanded = await QuantisedMemory.InProcess(QuantisedMemory.Expanded, path);
        // Code that is compiled and garbage that is not collected yet differ from run to run. Logits in bfloat16, and once more in float32, are all that a forward pass of few tokens leaves.
        const long others = 10 * MB;
        var activations = QuantisedMemory.ForwardTokens * (long)Config.VocabSize * 6;
        // A tile of 1 MB a thread and what libtorch makes of it, and the block of the output layer whose logits are summed at once.
        var tiles = (4 * QuantisedMemory.Threads * MB) + (4096 * (long)Config.HiddenSize * 2);
        Assert.True(tiles < (long)Config.VocabSize * Config.HiddenSize * 2, "the largest matrix, dequantised, would not be noticed");
        var allowed = (1.03 * bytes) + others + activations;
        Assert.True(expanded.Resident - empty.Resident > allowed + (20 * MB), $"a dequantised copy would not be noticed: {expanded} over {empty}");
        foreach (var how in (string[])[QuantisedMemory.Mapped, QuantisedMemory.Copied])
        {
            var model = await QuantisedMemory.InProcess(how, path);
            Assert.True(model.Resident - empty.Resident <= allowed, $"{how}: {(model.Resident - empty.Resident) / MB} MB after a forward pass, and {allowed / MB} are allowed: {model}, {empty}");
            if (how == QuantisedMemory.Mapped) Assert.True(model.Own - empty.Own <= others + activations, $"{(model.Own - empty.Own) / MB} MB of its own");
            // Over bfloat16 weights the same step takes its activations alone.
            Assert.True(model.Step - expanded.Step <= tiles, $"{how}: a step takes {model.Step / MB} MB, and {expanded.Step / MB} over bfloat16 weights");
        }
    }

    public void Dispose() => folder.Dispose();
}
