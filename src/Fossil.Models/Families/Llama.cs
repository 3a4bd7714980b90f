// The Llama family in one file, to be read from top to bottom: configuration, attention, feed-forward, layer, model, language model.
// Module names are Hugging Face's (model.layers.0.self_attn.q_proj …), so that checkpoints load by name.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>
/// One configuration for the whole Llama family: Llama 2 and 3, SmolLM2, Mistral, Qwen2, Qwen3. What differs between the architectures is spelled out (biases, query and key norms, window), so that
/// the decoder never asks for a name.
/// </summary>
public sealed record LlamaConfig : CausalLMConfig
{
    /// <summary>Creates a configuration of <see cref="CausalLMConfig.ModelType"/> llama; the others are mistral, qwen2 and qwen3.</summary>
    public LlamaConfig() : base("llama")
    {
    }

    [SetsRequiredMembers]
    internal LlamaConfig(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        var attentionBias = json.Flag("attention_bias") ?? false;
        var window = ModelType == "llama" || (IsQwen && json.Flag("use_sliding_window") != true) ? null : json.Integer("sliding_window");
        QueryKeyValueBias = ModelType == "qwen2" || attentionBias;
        OutputBias = ModelType != "qwen2" && attentionBias;
        MlpBias = json.Flag("mlp_bias") ?? false;
        QueryKeyNorm = ModelType == "qwen3";
        SlidingWindow = window;
        SlidingLayers = window is null ? null
            : json.PerLayer("layer_types", NumHiddenLayers) is { } types ? [.. types.Select(type => type == "sliding_attention")]
            // Older files have the layers from one on; where there is neither, all layers have the window.
            : json.Integer("max_window_layers") is { } from ? [.. Enumerable.Range(0, NumHiddenLayers).Select(layer => layer >= from)] : null;
    }

    [SetsRequiredMembers]
    internal LlamaConfig(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        // Mistral's files are llama's, and differ by the window only.
        if (ModelType == "llama" && SlidingWindow is not null) ModelType = "mistral";
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        QueryKeyValueBias = gguf.Contains("blk.0.attn_q.bias");
        OutputBias = gguf.Contains("blk.0.attn_output.bias");
        MlpBias = gguf.Contains("blk.0.ffn_up.bias");
        QueryKeyNorm = gguf.Contains("blk.0.attn_q_norm.weight");
    }

    /// <summary>Whether q, k and v have biases (Qwen2; Llama with <c>attention_bias</c>).</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether the attention's output projection has a bias (Llama and Qwen3 with <c>attention_bias</c>).</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the feed-forward projections have biases (Llama with <c>mlp_bias</c>).</summary>
    public bool MlpBias { get; init; }

    /// <summary>Whether the query and key of each head are normalised before the rotation (Qwen3).</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>The layers that have the sliding window; null: all, if there is a window.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

    /// <summary>Reads <c>config.json</c>, with rotary settings in the new form (<c>rope_parameters</c>) or the old one (<c>rope_theta</c>, <c>rope_scaling</c>).</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static LlamaConfig Load(string path) => Load<LlamaForCausalLM, LlamaConfig>(path);

    /// <summary>The window of layer <paramref name="layer"/>; null where its tokens see all before them.</summary>
    public int? WindowOf(int layer) => SlidingLayers is null || SlidingLayers[layer] ? SlidingWindow : null;

    private bool IsQwen => ModelType is "qwen2" or "qwen3";

    private protected override string HuggingFaceClass => ModelType switch
    {
        "mistral" => "MistralForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        _ => nameof(LlamaForCausalLM),
    };

    internal override string GgufArchitecture => ModelType == "mistral" ? "llama" : ModelType;

    internal override int InterleavedHeads(string name) => IsQwen ? 0
        : name.Contains(".self_attn.q_proj", StringComparison.Ordinal) ? NumAttentionHeads
        : name.Contains(".self_attn.k_proj", StringComparison.Ordinal) ? NumKeyValueHeads
        : 0;

    private protected override bool StatesHeadDim => base.StatesHeadDim || ModelType == "qwen3";

    /// <inheritdoc/>
    public override JsonObject ToJson(string dtype = "float32")
    {
        var json = base.ToJson(dtype);
        if (!IsQwen) return json;
        json["use_sliding_window"] = SlidingWindow is not null;
        json["layer_types"] = new JsonArray([.. Enumerable.Range(0, NumHiddenLayers).Select(i => (JsonNode)(WindowOf(i) is null ? "full_attention" : "sliding_attention"))]);
        return json;
    }

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() => [("attention_bias", OutputBias), ("hidden_act", "silu"), ("mlp_bias", MlpBias)];

    internal override IEnumerable<(string Key, object Value)> GgufFields() => SlidingWindow is not null && SlidingLayers?.Contains(false) == true
        ? throw new ExportException("Some of the model's layers have a sliding window and some have none, which GGUF cannot say for this architecture.")
        : base.GgufFields();

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new LlamaForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>What differs between the attentions of the family.</summary>
/// <param name="IsWindowed">Whether the layer has the sliding window.</param>
/// <param name="QueryKeyValueBias">Whether q, k and v have biases.</param>
/// <param name="OutputBias">Whether the output has one.</param>
/// <param name="QueryKeyNorm">Whether queries and keys are normed.</param>
internal readonly record struct LlamaAttentionOptions(bool IsWindowed, bool QueryKeyValueBias, bool OutputBias, bool QueryKeyNorm);

/// <summary>Grouped-query attention with rotary positions.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class LlamaAttention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly RMSNorm? q_norm, k_norm;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool windowed;

    internal LlamaAttention(CausalLMConfig config, int layer, LlamaAttentionOptions options, ScalarType dtype, Device? device) : base(nameof(LlamaAttention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        windowed = options.IsWindowed;
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, options.QueryKeyValueBias, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, options.QueryKeyValueBias, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, options.QueryKeyValueBias, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, options.OutputBias, dtype, device);
        if (options.QueryKeyNorm)
        {
            q_norm = new RMSNorm(headDim, config.RmsNormEps, dtype, device);
            k_norm = new RMSNorm(headDim, config.RmsNormEps, dtype, device);
        }
        RegisterComponents();
        Parts = new([q_proj, k_proj, v_proj], o_proj, heads, keyValueHeads, headDim, layer) { QueryNorm = q_norm, KeyNorm = k_norm, Window = windowed ? config.SlidingWindow : null };
    }

    internal override AttentionParts Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens, size) = (x.size(0), x.size(1), headDim);
        var q = q_proj.forward(x).view(batch, tokens, heads, size);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, size);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, size);
        if (q_norm is not null) q = q_norm.forward(q);
        if (k_norm is not null) k = k_norm.forward(k);
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed)).MoveToOuterDisposeScope();
    }
}

/// <summary>The gated feed-forward block: down(silu(gate(x)) · up(x)).</summary>
[FossilAdapt("gate_proj", "up_proj", "down_proj")]
public sealed partial class LlamaMLP : Module<Tensor, Tensor>, IGatedBlock
{
    private readonly LinearLayer gate_proj, up_proj, down_proj;
    private readonly GatedParts parts;

    internal LlamaMLP(int hidden, int inner, bool bias, ScalarType dtype, Device? device) : base(nameof(LlamaMLP))
    {
        gate_proj = Projection.Create(hidden, inner, bias, dtype, device);
        up_proj = Projection.Create(hidden, inner, bias, dtype, device);
        down_proj = Projection.Create(inner, hidden, bias, dtype, device);
        RegisterComponents();
        parts = new([gate_proj, up_proj], down_proj);
    }

    GatedParts IGatedBlock.Parts => parts;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var gated = GatedCall.Run(gate_proj.forward(x), up_proj.forward(x));
        return down_proj.forward(gated).MoveToOuterDisposeScope();
    }
}

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)).</summary>
public sealed class LlamaDecoderLayer : PreNormDecoderLayer
{
    internal LlamaDecoderLayer(LlamaConfig config, int layer, ScalarType dtype, Device? device)
        : base(nameof(LlamaDecoderLayer), config, new LlamaAttention(config, layer, new(config.WindowOf(layer) is not null, config.QueryKeyValueBias, config.OutputBias, config.QueryKeyNorm), dtype, device), new LlamaMLP(config.HiddenSize, config.IntermediateSize, config.MlpBias, dtype, device), dtype, device)
    {
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class LlamaModel : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;

    internal LlamaModel(LlamaConfig config, ScalarType dtype, Device? device) : base(nameof(LlamaModel))
    {
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new LlamaDecoderLayer(config, layer, dtype, device));
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
/// A decoder of the Llama family (Llama 2 and 3, SmolLM2, Mistral, Qwen2, Qwen3) with its output layer. All seven projections of each layer are annotated,
/// so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class LlamaForCausalLM : CausalLM<LlamaForCausalLM, LlamaConfig>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public LlamaForCausalLM(LlamaConfig config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal LlamaForCausalLM(LlamaConfig config, ScalarType dtype, Device? device, bool initialize) : base(nameof(LlamaForCausalLM), config, () => new LlamaModel(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
