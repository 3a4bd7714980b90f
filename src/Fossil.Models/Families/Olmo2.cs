// OLMo 2 in one file, to be read from top to bottom: configuration and names, attention, layer, model, language model.
// Against Llama: norms stand behind attention and feed-forward, not before them, and queries and keys are normalised over all heads at once.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Concurrency;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of an OLMo 2 model.</summary>
public sealed record Olmo2Config : CausalLMConfig
{
    /// <summary>Creates a configuration.</summary>
    public Olmo2Config() : base("olmo2")
    {
    }

    [SetsRequiredMembers]
    internal Olmo2Config(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        AttentionBias = json.Flag("attention_bias") ?? false;
    }

    [SetsRequiredMembers]
    internal Olmo2Config(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        if (SlidingWindow is not null) throw gguf.Unsupported("has a sliding window, which this decoder does not do (OLMo 3 has one).");
    }

    /// <summary>Whether the attention's projections have biases.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static Olmo2Config Load(string path) => Load<Olmo2ForCausalLM, Olmo2Config>(path);

    private protected override string HuggingFaceClass => nameof(Olmo2ForCausalLM);

    internal override GgufNames GgufNames => GgufNames.Decoder.With(("post_attention_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm"));

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() => [("attention_bias", AttentionBias), ("hidden_act", "silu")];

    internal override IEnumerable<(string Key, object Value)> GgufFields() => AttentionBias
        ? throw new ExportException($"The attention's projections have biases, which GGUF has no place for in {GgufArchitecture}.")
        : base.GgufFields();

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new Olmo2ForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>Grouped-query attention with rotary positions; queries and keys are normalised before they are cut into heads.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class Olmo2Attention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly RMSNorm q_norm, k_norm;
    private readonly int layer, heads, keyValueHeads, headDim;

    internal Olmo2Attention(Olmo2Config config, int layer, ScalarType dtype, Device? device) : base(nameof(Olmo2Attention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, config.AttentionBias, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, config.AttentionBias, dtype, device);
        q_norm = new RMSNorm(heads * headDim, config.RmsNormEps, dtype, device);
        k_norm = new RMSNorm(keyValueHeads * headDim, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        var (q, k, v) = (q_proj.forward(x), k_proj.forward(x), v_proj.forward(x).view(batch, tokens, keyValueHeads, headDim));
        q = q_norm.forward(q).view(batch, tokens, heads, headDim);
        k = k_norm.forward(k).view(batch, tokens, keyValueHeads, headDim);
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed: false)).MoveToOuterDisposeScope();
    }
}

/// <summary>x + norm(attention(x)), then x + norm(mlp(x)).</summary>
public sealed class Olmo2DecoderLayer : DecoderLayer
{
    private readonly Olmo2Attention self_attn;
    private readonly LlamaMLP mlp;
    private readonly RMSNorm post_attention_layernorm;
    private readonly RMSNorm post_feedforward_layernorm;

    internal Olmo2DecoderLayer(Olmo2Config config, int layer, ScalarType dtype, Device? device) : base(nameof(Olmo2DecoderLayer))
    {
        self_attn = new Olmo2Attention(config, layer, dtype, device);
        mlp = new LlamaMLP(config.HiddenSize, config.IntermediateSize, bias: false, dtype, device);
        post_attention_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        post_feedforward_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        x = x.add(post_attention_layernorm.forward(self_attn.forward(x, context)), Scalars.One);
        return x.add(post_feedforward_layernorm.forward(mlp.forward(x)), Scalars.One).MoveToOuterDisposeScope();
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class Olmo2Model : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;

    internal Olmo2Model(Olmo2Config config, ScalarType dtype, Device? device) : base(nameof(Olmo2Model))
    {
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new Olmo2DecoderLayer(config, layer, dtype, device));
        norm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override TokenEmbedding Embedding => embed_tokens;

    internal override Tensor forward(DecoderInput input)
    {
        using var scope = NewDisposeScope();
        return norm.forward(layers.forward(embed_tokens.forward(input.Ids), input, Recomputes)).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// An OLMo 2 decoder with its output layer. All seven projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class Olmo2ForCausalLM : CausalLM<Olmo2ForCausalLM, Olmo2Config>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public Olmo2ForCausalLM(Olmo2Config config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal Olmo2ForCausalLM(Olmo2Config config, ScalarType dtype, Device? device, bool initialize) : base(nameof(Olmo2ForCausalLM), config, () => new Olmo2Model(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
