using Fossil.Models.Gguf;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Gguf;

/// <summary>The real file, against rows that transformers dequantised.</summary>
public sealed class GgufSmolLM2Tests
{
    private const string Prefix = "weights.";

    [SkippableTheory]
    [InlineData("model.layers.0.self_attn.q_proj.weight", 0)]
    [InlineData("model.layers.29.self_attn.k_proj.weight", 0)]
    [InlineData("model.layers.3.mlp.down_proj.weight", 0)]
    [InlineData("model.embed_tokens.weight", 1000)]
    public void Dequantised_rows_are_those_of_transformers(string name, int firstRow)
    {
        using var scope = NewDisposeScope();
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        using var file = GgufFile.Open(SmolLM2.Model);
        var config = CausalLMFamily.Read(file, AutoModelForCausalLM.Families);
        var tensor = GgufNames.Decoder.ToGguf(name)!;
        var expected = reference.Load(Prefix + name);
        var loaded = empty([.. file.GetInfo(tensor).Shape]);
        file.LoadInto(tensor, loaded, config.InterleavedHeads(name));
        Assert.True(loaded.narrow(0, firstRow, expected.shape[0]).equal(expected).all().item<bool>());
    }

    [SkippableFact]
    public void The_configuration_is_the_models()
    {
        using var file = GgufFile.Open(SmolLM2.Model);
        var config = CausalLMFamily.Read(file, AutoModelForCausalLM.Families);
        Assert.Equivalent(
            new LlamaConfig
            {
                ModelType = "llama",
                VocabSize = 49152,
                HiddenSize = 576,
                IntermediateSize = 1536,
                NumHiddenLayers = 30,
                NumAttentionHeads = 9,
                NumKeyValueHeads = 3,
                HeadDim = 64,
                MaxPositionEmbeddings = 8192,
                RmsNormEps = 1e-5,
                Rope = new RopeParameters { Theta = 100_000 },
                TieWordEmbeddings = true,
                BosTokenId = 1,
                EosTokenIds = [2],
                PadTokenId = 2,
            },
            config);
    }

    [SkippableFact]
    public void Every_tensor_has_a_name_in_the_checkpoint_and_back()
    {
        using var file = GgufFile.Open(SmolLM2.Model);
        Assert.Equal(272, file.Tensors.Count);
        Assert.All(file.Tensors, tensor => Assert.Equal(tensor.Name, GgufNames.Decoder.ToGguf(GgufNames.Decoder.ToHuggingFace(tensor.Name)!)));
    }
}

/// <summary>Where the files of SmolLM2 lie; asking for one skips the test where there is none.</summary>
internal static class SmolLM2
{
    public static string Folder => Path.Combine(DataFolders.RequireModels(), "SmolLM2-135M-Instruct");

    public static string Model => Path.Combine(Folder, "SmolLM2-135M-Instruct.Q4_1.gguf");

    public static string Reference(string name) => Path.Combine(Folder, "reference", name);

    public static string Logits => Reference("logits.safetensors");
}
