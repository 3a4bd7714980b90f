using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>Small decoders with random weights of every family, in the patterns of layers that llama.cpp knows by itself.</summary>
internal static class FamilyModels
{
    /// <summary>The number of ids of all of them.</summary>
    public const int VocabSize = 256;

    private const int Layers = 7;

    private static readonly RopeParameters LongRope = new()
    {
        Theta = 10_000, Type = RopeType.LongRope, PartialRotaryFactor = 0.75, OriginalMaxPositionEmbeddings = 32, Factor = 8,
        ShortFactors = [1, 1.1, 1.2, 1.3, 1.4, 1.5], LongFactors = [1, 1.5, 2.25, 3.5, 6, 9],
    };

    private static readonly LlamaConfig Llama = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 3, NumAttentionHeads = 8, NumKeyValueHeads = 2, HeadDim = 8, MaxPositionEmbeddings = 256, TieWordEmbeddings = true,
        BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Phi3Config Phi3 = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 3, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, MaxPositionEmbeddings = 256,
        BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly SmolLM3Config SmolLM3 = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = Layers, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, MaxPositionEmbeddings = 256, TieWordEmbeddings = true,
        BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Gemma3Config Gemma3 = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = Layers, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 24, MaxPositionEmbeddings = 256, TieWordEmbeddings = true,
        QueryPreAttnScalar = 24, SlidingWindow = 8, BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Gemma2Config Gemma2 = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 4, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 24, MaxPositionEmbeddings = 256, TieWordEmbeddings = true,
        QueryPreAttnScalar = 24, SlidingWindow = 8, AttnLogitSoftcapping = 2, FinalLogitSoftcapping = 3, BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Qwen3MoeConfig Qwen3Moe = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 3, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, MaxPositionEmbeddings = 256,
        NumExperts = 12, NumExpertsPerToken = 3, MoeIntermediateSize = 32, BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Olmo2Config Olmo2 = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 3, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, MaxPositionEmbeddings = 256,
        BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly GraniteConfig Granite = new()
    {
        VocabSize = VocabSize, HiddenSize = 64, IntermediateSize = 96, NumHiddenLayers = 3, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16, MaxPositionEmbeddings = 256, TieWordEmbeddings = true,
        EmbeddingMultiplier = 3, AttentionMultiplier = 0.2, ResidualMultiplier = 0.5, LogitsScaling = 2, BosTokenId = 1, EosTokenIds = [2], PadTokenId = 0,
    };

    private static readonly Dictionary<string, CausalLMConfig> Configs = new()
    {
        ["llama"] = Llama,
        ["llama-untied"] = Llama with { TieWordEmbeddings = false, HeadDim = 16 },
        ["llama-biases"] = Llama with { QueryKeyValueBias = true, OutputBias = true, MlpBias = true },
        ["llama-linear"] = Llama with { Rope = new() { Type = RopeType.Linear, Factor = 4 } },
        ["llama-yarn"] = Llama with { Rope = new() { Type = RopeType.Yarn, Factor = 4, OriginalMaxPositionEmbeddings = 32 } },
        ["llama3"] = Llama with { Rope = new() { Type = RopeType.Llama3, Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalMaxPositionEmbeddings = 64 } },
        ["qwen2"] = Llama with { ModelType = "qwen2", QueryKeyValueBias = true },
        ["qwen3"] = Llama with { ModelType = "qwen3", QueryKeyNorm = true, HeadDim = 16 },
        ["qwen3-moe-whole"] = Qwen3Moe with { NumExperts = 4, NumExpertsPerToken = 4 },
        ["qwen3-moe"] = Qwen3Moe,
        ["phi3"] = Phi3,
        ["phi3-partial"] = Phi3 with { Rope = new() { PartialRotaryFactor = 0.75 } },
        ["phi3-longrope"] = Phi3 with { Rope = LongRope, OriginalMaxPositionEmbeddings = 32, MaxPositionEmbeddings = 256 },
        ["smollm3"] = SmolLM3,
        ["olmo2"] = Olmo2,
        ["granite"] = Granite,
        ["granite-biases"] = Granite with { AttentionBias = true, MlpBias = true, TieWordEmbeddings = false },
        ["gemma2"] = Gemma2,
        ["gemma3"] = Gemma3,
        ["gemma3-linear"] = Gemma3 with { Rope = new() { Theta = 1_000_000, Type = RopeType.Linear, Factor = 8 } },
    };

    public static TheoryData<string> Names => [.. Configs.Keys];

    /// <summary>Those whose logits change little where their weights do: a near tie of two experts may come out the other way, unless all are chosen.</summary>
    public static TheoryData<string> Continuous => [.. Configs.Where(entry => entry.Value is not Qwen3MoeConfig moe || moe.NumExpertsPerToken == moe.NumExperts).Select(entry => entry.Key)];

    /// <summary>One of each decoder's class.</summary>
    public static TheoryData<string> OfEachClass => [.. Configs.GroupBy(entry => entry.Value.GetType()).Select(group => group.First().Key)];

    /// <summary>A model in evaluation mode; every parameter is random, biases and norms too.</summary>
    public static CausalLM Create(string name, Func<CausalLMConfig, CausalLMConfig>? change = null)
    {
        var config = Configs[name];
        if (change is not null) config = change(config);
        CausalLM model = config switch
        {
            LlamaConfig llama => new LlamaForCausalLM(llama),
            Phi3Config phi3 => new Phi3ForCausalLM(phi3),
            SmolLM3Config smollm3 => new SmolLM3ForCausalLM(smollm3),
            Qwen3MoeConfig moe => new Qwen3MoeForCausalLM(moe),
            Gemma2Config gemma2 => new Gemma2ForCausalLM(gemma2),
            Gemma3Config gemma3 => new Gemma3ForCausalLM(gemma3),
            Olmo2Config olmo2 => new Olmo2ForCausalLM(olmo2),
            GraniteConfig granite => new GraniteForCausalLM(granite),
            _ => throw new InvalidOperationException($"{config.GetType().Name} is new."),
        };
        Fill(model.parameters(), 0.15);
        model.eval();
        return model;
    }

    /// <summary>Matrices become random, vectors change a little.</summary>
    public static void Fill(IEnumerable<Tensor> parameters, double deviation)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(7, CPU);
        using var five = 5.ToScalar();
        foreach (var values in parameters)
        {
            if (values.dim() > 1) values.normal_(0, deviation, generator);
            else values.add_(randn(values.shape, generator: generator).div(five));
        }
    }
}
