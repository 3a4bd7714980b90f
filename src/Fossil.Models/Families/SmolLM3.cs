// SmolLM3 in one file, to be read from top to bottom: configuration, attention, layer, model, language model.
// Against Llama: some layers, published as every fourth, have no positions.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a SmolLM3 model; sliding windows, which published models do not have, are left out.</summary>
public sealed record SmolLM3Config : CausalLMConfig
{
    // llama.cpp knows the interval by itself.
    private const int DefaultInterval = 4;

    /// <summary>Creates a configuration.</summary>
    public SmolLM3Config() : base("smollm3")
    {
    }

    [SetsRequiredMembers]
    internal SmolLM3Config(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        if (json.Flag("use_sliding_window") == true) throw json.Error("has use_sliding_window true; this decoder has no sliding window");
        AttentionBias = json.Flag("attention_bias") ?? false;
        MlpBias = json.Flag("mlp_bias") ?? false;
        TieWordEmbeddings = json.Flag("tie_word_embeddings") ?? true;
        RopeLayers = json.FlagPerLayer("no_rope_layers", NumHiddenLayers) ?? AllBut(json.Integer("no_rope_layer_interval") ?? DefaultInterval);
    }

    [SetsRequiredMembers]
    internal SmolLM3Config(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
    }

    /// <summary>Whether the attention's projections have biases.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the feed-forward projections have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>The layers that have rotary positions (<c>no_rope_layers</c>, whose 1 means that a layer has them); null: all but every fourth.</summary>
    public IReadOnlyList<bool>? RopeLayers { get; init; }

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static SmolLM3Config Load(string path) => Load<SmolLM3ForCausalLM, SmolLM3Config>(path);

    /// <summary>Whether layer <paramref name="layer"/> has rotary positions.</summary>
    public bool HasRope(int layer) => RopeLayers is null ? (layer + 1) % DefaultInterval != 0 : RopeLayers[layer];

    private protected override string HuggingFaceClass => nameof(SmolLM3ForCausalLM);

    internal override int InterleavedHeads(string name) =>
        name.Contains(".self_attn.q_proj", StringComparison.Ordinal) ? NumAttentionHeads
        : name.Contains(".self_attn.k_proj", StringComparison.Ordinal) ? NumKeyValueHeads
        : 0;

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
    [
        ("attention_bias", AttentionBias),
        ("hidden_act", "silu"),
        ("mlp_bias", MlpBias),
        ("no_rope_layers", new JsonArray([.. Enumerable.Range(0, NumHiddenLayers).Select(layer => (JsonNode)(HasRope(layer) ? 1 : 0))])),
        ("use_sliding_window", false),
    ];

    internal override IEnumerable<(string Key, object Value)> GgufFields()
    {
        if (RopeLayers is not null && !RopeLayers.SequenceEqual(AllBut(DefaultInterval))) throw new ExportException($"The model has other layers without positions than every fourth, which GGUF cannot say for {GgufArchitecture}.");
        if (AttentionBias || MlpBias) throw new ExportException($"The model's projections have biases, which GGUF has no place for in {GgufArchitecture}.");
        return base.GgufFields();
    }

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new SmolLM3ForCausalLM(this, dtype, device, initialize: false);

    private bool[] AllBut(int interval) => [.. Enumerable.Range(0, NumHiddenLayers).Select(layer => (layer + 1) % interval != 0)];
}

/// <summary>Grouped-query attention, with rotary positions or without.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class SmolLM3Attention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool rotates;

    internal SmolLM3Attention(SmolLM3Config config, int layer, ScalarType dtype, Device? device) : base(nameof(SmolLM3Attention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        rotates = config.HasRope(layer);
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, config.AttentionBias, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.AttentionBias, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, config.AttentionBias, dtype, device);
        RegisterComponents();
        Parts = new([q_proj, k_proj, v_proj], o_proj, heads, keyValueHeads, headDim, layer) { Rotates = rotates };
    }

    internal override AttentionParts Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        var q = q_proj.forward(x).view(batch, tokens, heads, headDim);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, rotates ? context : context.WithoutPositions(), layer, windowed: false)).MoveToOuterDisposeScope();
    }
}

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)).</summary>
public sealed class SmolLM3DecoderLayer : PreNormDecoderLayer
{
    internal SmolLM3DecoderLayer(SmolLM3Config config, int layer, ScalarType dtype, Device? device)
        : base(nameof(SmolLM3DecoderLayer), config, new SmolLM3Attention(config, layer, dtype, device), new LlamaMLP(config.HiddenSize, config.IntermediateSize, config.MlpBias, dtype, device), dtype, device)
    {
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class SmolLM3Model : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;

    internal SmolLM3Model(SmolLM3Config config, ScalarType dtype, Device? device) : base(nameof(SmolLM3Model))
    {
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new SmolLM3DecoderLayer(config, layer, dtype, device));
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
/// A SmolLM3 decoder with its output layer. All seven projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class SmolLM3ForCausalLM : CausalLM<SmolLM3ForCausalLM, SmolLM3Config>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public SmolLM3ForCausalLM(SmolLM3Config config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal SmolLM3ForCausalLM(SmolLM3Config config, ScalarType dtype, Device? device, bool initialize) : base(nameof(SmolLM3ForCausalLM), config, () => new SmolLM3Model(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
