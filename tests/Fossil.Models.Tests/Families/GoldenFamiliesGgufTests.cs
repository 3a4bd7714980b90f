using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>Random models of families whose pattern of layers llama.cpp knows by itself: as GGUF files and back, or refused.</summary>
public sealed class GoldenFamiliesGgufTests
{
    private static readonly SmolLM3Config SmolLM3 = new()
    {
        VocabSize = 64, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 5, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 8, TieWordEmbeddings = true, InitializerRange = 0.15,
    };

    [Fact]
    public void SmolLM3_with_every_fourth_layer_without_positions_comes_back() => AssertComesBack(new SmolLM3ForCausalLM(SmolLM3), "smollm3");

    [Fact]
    public void SmolLM3_that_GGUF_cannot_say_is_refused()
    {
        AssertRefused(new SmolLM3ForCausalLM(SmolLM3 with { RopeLayers = [true, true, true, true, true] }), "every fourth");
        AssertRefused(new SmolLM3ForCausalLM(SmolLM3 with { AttentionBias = true }), "biases");
        AssertRefused(new SmolLM3ForCausalLM(SmolLM3 with { MlpBias = true }), "biases");
    }

    private static void AssertComesBack(CausalLM created, string architecture)
    {
        using var model = created;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using (var file = GgufFile.Open(folder["model.gguf"])) Assert.Equal(architecture, file.Metadata.GetString("general.architecture"));
        using var again = AutoModelForCausalLM.FromGguf(folder["model.gguf"]);
        var ids = arange(0, 12, dtype: int64).unsqueeze(0);

        Assert.IsType(model.GetType(), again);
        Assert.InRange(GoldenDecoderTests.Largest(again.forward(ids), model.forward(ids)), 0, 1e-5);
    }

    private static void AssertRefused(CausalLM created, string reason)
    {
        using var model = created;
        using var folder = new TemporaryFolder();
        Assert.Contains(reason, Assert.Throws<ExportException>(() => model.SaveGguf(folder["model.gguf"], GgufTensorType.F32)).Message);
    }
}
