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

    private static readonly Gemma3Config Gemma3 = new()
    {
        VocabSize = 64, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 7, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, TieWordEmbeddings = true, InitializerRange = 0.15,
        QueryPreAttnScalar = 16, SlidingWindow = 4, Rope = new() { Theta = 1_000_000, Type = RopeType.Linear, Factor = 8 },
    };

    [Fact]
    public void Gemma3_with_every_sixth_layer_without_a_window_comes_back() => AssertComesBack(new Gemma3ForCausalLM(Gemma3), "gemma3");

    [Fact]
    public void Gemma3_that_GGUF_cannot_say_is_refused()
    {
        AssertRefused(new Gemma3ForCausalLM(Gemma3 with { SlidingLayers = [true, false, true, false, true, false, true] }), "every sixth");
        AssertRefused(new Gemma3ForCausalLM(Gemma3 with { QueryPreAttnScalar = 32 }), "query_pre_attn_scalar");
        AssertRefused(new Gemma3ForCausalLM(Gemma3 with { FinalLogitSoftcapping = 30 }), "final_logit_softcapping");
        AssertRefused(new Gemma3ForCausalLM(Gemma3 with { LocalRope = new() { Theta = 20_000 } }), "sliding window");
    }

    [Fact]
    public void Norms_of_a_fresh_Gemma3_change_no_scale()
    {
        using var scope = NewDisposeScope();
        using var model = new Gemma3ForCausalLM(Gemma3);
        Assert.All(model.named_parameters().Where(p => p.name.EndsWith("norm.weight")), p => Assert.Equal(0, p.parameter.abs().max().item<float>()));
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
