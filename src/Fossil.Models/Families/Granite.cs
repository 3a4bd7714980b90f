// Granite 3 in one file, to be read from top to bottom: configuration, attention, layer, model, language model.
// Against Llama: embedding, scores, both halves of a layer and logits are scaled by numbers of the configuration.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Concurrency;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a Granite model.</summary>
public sealed record GraniteConfig : CausalLMConfig
{
    /// <summary>Creates a configuration.</summary>
    public GraniteConfig() : base("granite")
    {
    }

    [SetsRequiredMembers]
    internal GraniteConfig(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        AttentionBias = json.Flag("attention_bias") ?? false;
        MlpBias = json.Flag("mlp_bias") ?? false;
        EmbeddingMultiplier = json.Number("embedding_multiplier") ?? 1;
        AttentionMultiplier = json.Number("attention_multiplier") ?? 1;
        ResidualMultiplier = json.Number("residual_multiplier") ?? 1;
        LogitsScaling = json.Number("logits_scaling") ?? 1;
        if (LogitsScaling == 0) throw json.Error("has logits_scaling 0, by which logits are divided");
    }

    [SetsRequiredMembers]
    internal GraniteConfig(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        AttentionBias = gguf.Contains("blk.0.attn_q.bias");
        MlpBias = gguf.Contains("blk.0.ffn_up.bias");
        // llama.cpp takes 0 for "not scaled".
        EmbeddingMultiplier = gguf.FindNumber("embedding_scale") is { } embedding and not 0 ? embedding : 1;
        AttentionMultiplier = gguf.FindNumber("attention.scale") is { } attention and not 0 ? attention : 1 / Math.Sqrt(HeadDim);
        ResidualMultiplier = gguf.FindNumber("residual_scale") is { } residual and not 0 ? residual : 1;
        LogitsScaling = gguf.FindNumber("logit_scale") is { } logits and not 0 ? logits : 1;
    }

    /// <summary>Whether the attention's projections have biases.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the feed-forward projections have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Multiplies the embedded tokens.</summary>
    public double EmbeddingMultiplier { get; init; } = 1;

    /// <summary>Multiplies the scores, in place of 1 / sqrt(head_dim).</summary>
    public double AttentionMultiplier { get; init; } = 1;

    /// <summary>Multiplies what attention and feed-forward add.</summary>
    public double ResidualMultiplier { get; init; } = 1;

    /// <summary>Divides the logits.</summary>
    public double LogitsScaling { get; init; } = 1;

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static GraniteConfig Load(string path) => Load<GraniteForCausalLM, GraniteConfig>(path);

    private protected override string HuggingFaceClass => nameof(GraniteForCausalLM);

    internal override int InterleavedHeads(string name) =>
        name.Contains(".self_attn.q_proj", StringComparison.Ordinal) ? NumAttentionHeads
        : name.Contains(".self_attn.k_proj", StringComparison.Ordinal) ? NumKeyValueHeads
        : 0;

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
    [
        ("attention_bias", AttentionBias),
        ("attention_multiplier", AttentionMultiplier),
        ("embedding_multiplier", EmbeddingMultiplier),
        ("hidden_act", "silu"),
        ("logits_scaling", LogitsScaling),
        ("mlp_bias", MlpBias),
        ("residual_multiplier", ResidualMultiplier),
    ];

    internal override IEnumerable<(string Key, object Value)> GgufFields() =>
        base.GgufFields().Concat([("attention.scale", (float)AttentionMultiplier), ("embedding_scale", (float)EmbeddingMultiplier), ("residual_scale", (float)ResidualMultiplier), ("logit_scale", (float)LogitsScaling)]);

    internal override LogitScaling LogitScaling => new(Divisor: LogitsScaling);

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new GraniteForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>Grouped-query attention with rotary positions and a scale of its own.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class GraniteAttention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly double queryScale;

    internal GraniteAttention(GraniteConfig config, int layer, ScalarType dtype, Device? device) : base(nameof(GraniteAttention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        // Attention divides by the root of the head's width.
        queryScale = config.AttentionMultiplier * Math.Sqrt(headDim);
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, config.AttentionBias, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, config.AttentionBias, dtype, device);
        RegisterComponents();
        Parts = new([q_proj, k_proj, v_proj], o_proj, heads, keyValueHeads, headDim, layer) { QueryFactor = (float)queryScale };
    }

    internal override AttentionParts Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        var q = q_proj.forward(x).view(batch, tokens, heads, headDim);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        q = q.mul(Scalars.Of(queryScale));
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed: false)).MoveToOuterDisposeScope();
    }
}

/// <summary>x + m · attention(norm(x)), then x + m · mlp(norm(x)).</summary>
public sealed class GraniteDecoderLayer : DecoderLayer
{
    private readonly RMSNorm input_layernorm;
    private readonly GraniteAttention self_attn;
    private readonly RMSNorm post_attention_layernorm;
    private readonly LlamaMLP mlp;
    private readonly double multiplier;

    internal GraniteDecoderLayer(GraniteConfig config, int layer, ScalarType dtype, Device? device) : base(nameof(GraniteDecoderLayer))
    {
        multiplier = config.ResidualMultiplier;
        input_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        self_attn = new GraniteAttention(config, layer, dtype, device);
        post_attention_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        mlp = new LlamaMLP(config.HiddenSize, config.IntermediateSize, config.MlpBias, dtype, device);
        RegisterComponents();
        Parts = LayerParts.Of(input_layernorm, self_attn, post_attention_layernorm, mlp, multiplier);
    }

    internal override LayerParts? Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        if (OneTokenLayer.TryRun(x, Parts, context) is { } next) return next;
        using var scope = NewDisposeScope();
        x = x.add(self_attn.forward(input_layernorm.forward(x), context), Scalars.Of(multiplier));
        return x.add(mlp.forward(post_attention_layernorm.forward(x)), Scalars.Of(multiplier)).MoveToOuterDisposeScope();
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class GraniteModel : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;
    private readonly double multiplier;

    internal GraniteModel(GraniteConfig config, ScalarType dtype, Device? device) : base(nameof(GraniteModel))
    {
        multiplier = config.EmbeddingMultiplier;
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new GraniteDecoderLayer(config, layer, dtype, device));
        norm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override TokenEmbedding Embedding => embed_tokens;

    internal override Tensor forward(DecoderInput input)
    {
        using var scope = NewDisposeScope();
        var x = embed_tokens.forward(input.Ids).mul(Scalars.Of(multiplier));
        return norm.forward(layers.forward(x, input, Recomputes)).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// A Granite decoder with its output layer. All seven projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class GraniteForCausalLM : CausalLM<GraniteForCausalLM, GraniteConfig>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public GraniteForCausalLM(GraniteConfig config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal GraniteForCausalLM(GraniteConfig config, ScalarType dtype, Device? device, bool initialize) : base(nameof(GraniteForCausalLM), config, () => new GraniteModel(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
