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

    [Fact]
    public void Olmo2_with_biases_is_refused() => AssertRefused(
        new Olmo2ForCausalLM(new() { VocabSize = 64, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 1, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 8, AttentionBias = true }), "biases");

    [Fact]
    public void Gemma2_that_GGUF_cannot_say_is_refused()
    {
        var gemma2 = new Gemma2Config { VocabSize = 64, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 3, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, QueryPreAttnScalar = 16, SlidingWindow = 4, TieWordEmbeddings = true, InitializerRange = 0.15 };
        AssertRefused(new Gemma2ForCausalLM(gemma2 with { SlidingLayers = [true, true, false] }), "every second");
        AssertRefused(new Gemma2ForCausalLM(gemma2 with { QueryPreAttnScalar = 32 }), "query_pre_attn_scalar");
        AssertRefused(new Gemma2ForCausalLM(gemma2 with { AttnLogitSoftcapping = null }), "attn_logit_softcapping");
        AssertRefused(new Gemma2ForCausalLM(gemma2 with { FinalLogitSoftcapping = null }), "final_logit_softcapping");
        AssertComesBack(new Gemma2ForCausalLM(gemma2), "gemma2");
    }

    [Fact]
    public void A_mixture_of_experts_that_GGUF_cannot_say_is_refused()
    {
        var moe = new Qwen3MoeConfig { VocabSize = 64, HiddenSize = 32, IntermediateSize = 48, NumHiddenLayers = 4, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, NumExperts = 12, NumExpertsPerToken = 2, MoeIntermediateSize = 32, InitializerRange = 0.15 };
        AssertRefused(new Qwen3MoeForCausalLM(moe with { NormTopkProb = false }), "norm_topk_prob");
        AssertRefused(new Qwen3MoeForCausalLM(moe with { SparseStep = 2 }), "without experts");
        AssertRefused(new Qwen3MoeForCausalLM(moe with { DenseLayers = [1] }), "without experts");
        AssertComesBack(new Qwen3MoeForCausalLM(moe), "qwen3moe");
    }

    [Fact]
    public void Experts_are_kept_as_blocks_and_written_back_byte_for_byte()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using (var model = FamilyModels.Create("qwen3-moe")) model.SaveGguf(folder["model.gguf"], GgufTensorType.Q8_0);
        using var kept = AutoModelForCausalLM.FromGguf(folder["model.gguf"], keepQuantized: true);
        using var expanded = AutoModelForCausalLM.FromGguf(folder["model.gguf"]);
        var ids = arange(0, 12, dtype: int64).unsqueeze(0);
        Assert.Equal(3 * 3 * 12, kept.named_modules().Count(entry => entry.name.Contains(".experts.", StringComparison.Ordinal) && entry.module is EncodableModule { IsFloatingPoint: false }));
        Assert.InRange(GoldenDecoderTests.Largest(kept.forward(ids), expanded.forward(ids)), 0, 1e-3);

        kept.SaveGguf(folder["again.gguf"], GgufTensorType.F32);
        using var first = GgufFile.Open(folder["model.gguf"]);
        using var second = GgufFile.Open(folder["again.gguf"]);
        Assert.All(first.Tensors.Where(tensor => tensor.Name.Contains("_exps.", StringComparison.Ordinal)), tensor =>
        {
            Assert.Equal(GgufTensorType.Q8_0, second.GetInfo(tensor.Name).Type);
            Assert.True(first.Load(tensor.Name).equal(second.Load(tensor.Name)).all().item<bool>(), tensor.Name);
        });
    }

    [Fact]
    public void A_LoRA_on_some_of_a_layers_experts_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var model = FamilyModels.Create("qwen3-moe");
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["model.layers.0.mlp.experts.3.up_proj"] });
        Assert.Contains("blk.0.ffn_up_exps", Assert.Throws<ExportException>(() => adapted.SaveGgufLora(folder["adapter.gguf"])).Message);
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

    [Theory]
    [InlineData(2u, new[] { true, false, true, false, true, false, true })]
    [InlineData(new[] { false, true, true, false, true, false, true }, new[] { false, true, true, false, true, false, true })]
    public void Another_pattern_that_a_Gemma3_file_states_counts(object pattern, bool[] expected)
    {
        using var folder = new TemporaryFolder();
        SaveWith(pattern is Array flags ? GgufValue.OfArray(flags) : GgufValue.Of(pattern), folder["model.gguf"]);
        using var model = Gemma3ForCausalLM.FromGguf(folder["model.gguf"]);

        Assert.Equal(expected, Enumerable.Range(0, 7).Select(model.Config.IsSliding));
    }

    [Fact]
    public void A_pattern_of_too_few_layers_is_refused()
    {
        using var folder = new TemporaryFolder();
        SaveWith(GgufValue.OfArray(new[] { true, false }), folder["model.gguf"]);
        Assert.Contains("sliding_window_pattern", Assert.Throws<GgufException>(() => Gemma3ForCausalLM.FromGguf(folder["model.gguf"])).Message);
    }

    [Theory]
    [InlineData(8, 10_000, 64, 4)]
    [InlineData(8, 10_000, 100, 4)]
    [InlineData(16, 10_000, 64, 2)]
    [InlineData(64, 500_000, 8192, 4)]
    [InlineData(128, 500_000, 8192, 4)]
    [InlineData(32, 100_000, 1000, 3)]
    public void Llama3s_stretching_of_any_length_comes_back(int headDim, double theta, int original, double high)
    {
        using var folder = new TemporaryFolder();
        var rope = new RopeParameters { Theta = theta, Type = RopeType.Llama3, Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = high, OriginalMaxPositionEmbeddings = original };
        using (var model = new LlamaForCausalLM(new() { VocabSize = 8, HiddenSize = headDim, IntermediateSize = 8, NumHiddenLayers = 1, NumAttentionHeads = 1, NumKeyValueHeads = 1, HeadDim = headDim, Rope = rope })) model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using var again = LlamaForCausalLM.FromGguf(folder["model.gguf"]);

        Assert.All(GgufRopeFactors.Compute(rope, headDim).Zip(GgufRopeFactors.Compute(again.Config.Rope, headDim)), pair => Assert.Equal(pair.First, pair.Second, 1e-3));
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

    private static void SaveWith(GgufValue pattern, string path)
    {
        using var model = new Gemma3ForCausalLM(Gemma3);
        model.SaveGguf(path + ".default", GgufTensorType.F32);
        using var file = GgufFile.Open(path + ".default");
        var metadata = new GgufMetadata();
        foreach (var (key, value) in file.Metadata) metadata[key] = value;
        metadata["gemma3.attention.sliding_window_pattern"] = pattern;
        GgufWriter.Save(path, metadata, [.. file.Tensors.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Shape, () => file.Load(tensor.Name)))]);
    }

    private static void AssertRefused(CausalLM created, string reason)
    {
        using var model = created;
        using var folder = new TemporaryFolder();
        Assert.Contains(reason, Assert.Throws<ExportException>(() => model.SaveGguf(folder["model.gguf"], GgufTensorType.F32)).Message);
    }
}
