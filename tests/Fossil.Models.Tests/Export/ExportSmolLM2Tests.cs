using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Export;

public sealed class ExportSmolLM2Tests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [SkippableFact]
    public void The_adapter_as_gguf_lora_is_the_reference()
    {
        using var model = LlamaForCausalLM.FromGguf(SmolLM2.Model);
        using var adapted = model.LoadPretrained(SmolLM2.Reference("miss-r16"));
        adapted.SaveGgufLora(folder["miss-r16.lora.gguf"]);
        using var expected = GgufFile.Open(SmolLM2.Reference("miss-r16.lora.gguf"));
        using var actual = GgufFile.Open(folder["miss-r16.lora.gguf"]);
        Assert.Equal(expected.Metadata, actual.Metadata);
        Assert.Equal(expected.Tensors.Select(Describe), actual.Tensors.Select(Describe));
        foreach (var tensor in expected.Tensors)
        {
            using var left = expected.Load(tensor.Name);
            using var right = actual.Load(tensor.Name);
            using var same = left.equal(right).all();
            Assert.True(same.item<bool>(), tensor.Name);
        }

        Assert.True(File.ReadAllBytes(expected.Path).AsSpan().SequenceEqual(File.ReadAllBytes(actual.Path)));
    }

    [SkippableFact]
    public void A_merged_gguf_carries_metadata_and_tokenizer_over()
    {
        using var source = GgufFile.Open(SmolLM2.Model);
        using var model = LlamaForCausalLM.FromGguf(source, ScalarType.BFloat16);
        using var adapted = model.LoadPretrained(SmolLM2.Reference("miss-r16"));
        adapted.SaveMergedGguf(folder["merged.gguf"], GgufTensorType.Q8_0, metadata: source.Metadata);
        using var written = GgufFile.Open(folder["merged.gguf"]);
        var changed = new HashSet<string> { "general.file_type" };
        foreach (var (key, value) in source.Metadata.Where(pair => !changed.Contains(pair.Key))) Assert.True(value.Equals(written.Metadata[key]), key);
        Assert.Equal(source.Metadata.Count, written.Metadata.Count);
        Assert.Equal(source.Tensors.Select(tensor => tensor.Name).Order(), written.Tensors.Select(tensor => tensor.Name).Order());
        Assert.Equal(GgufTensorType.Q8_0, written.GetInfo("blk.0.attn_q.weight").Type);
    }

    [SkippableFact]
    public void A_vocabulary_survives_the_way_from_gguf_to_a_folder_and_back()
    {
        using var source = GgufFile.Open(SmolLM2.Model);
        var tokenizer = PretrainedTokenizer.FromGguf(source);
        Serialization.AtomicFolder.Write(folder.Path, HuggingFaceTokenizerWriter.Files(tokenizer.Definition));
        var metadata = new GgufMetadata();
        GgufTokenizerWriter.Write(PretrainedTokenizer.FromPretrained(folder.Path).Definition, 49152, metadata);
        foreach (var (key, value) in source.Metadata.Where(pair => pair.Key.StartsWith("tokenizer.", StringComparison.Ordinal) && pair.Key != "tokenizer.ggml.add_space_prefix"))
        {
            Assert.True(value.Equals(metadata[key]), key);
        }
    }

    public void Dispose() => folder.Dispose();

    private static string Describe(GgufTensorInfo tensor) => $"{tensor.Name} {tensor.Type} [{string.Join(", ", tensor.Shape)}] {tensor.Offset}";
}
