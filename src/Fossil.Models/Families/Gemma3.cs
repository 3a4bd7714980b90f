// Gemma 3 (text) in one file, to be read from top to bottom: configuration and names, attention, feed-forward, layer, model, language model.
// Against Llama: four norms a layer, by 1 + weight, and norms of queries and keys; layers with a sliding window have angles of their own; the embedding is scaled; the gate is a GELU.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Concurrency;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a Gemma 3 text model. <see cref="CausalLMConfig.Rope"/> is that of the layers without a window.</summary>
public sealed record Gemma3Config : CausalLMConfig
{
    // llama.cpp knows these by itself.
    private const int DefaultPattern = 6, LayersOf27B = 62;
    private const double DefaultLocalTheta = 10_000;

    /// <summary>Creates a configuration.</summary>
    public Gemma3Config() : base("gemma3_text") => (Rope, SlidingWindow) = (new() { Theta = 1_000_000 }, 4096);

    [SetsRequiredMembers]
    internal Gemma3Config(ModelConfigReader json) : base(json.Expect("hidden_activation", "gelu_pytorch_tanh"))
    {
        if (json.Flag("use_bidirectional_attention") == true) throw json.Error("has use_bidirectional_attention true; this decoder is causal");
        if (json.Flag("attention_bias") == true) throw json.Error("has attention_bias true; this decoder's projections have no biases");
        if (json.Number("attn_logit_softcapping") is { } cap) throw json.Error($"has attn_logit_softcapping {cap}; this decoder does not cap scores");
        HeadDim = json.Integer("head_dim") ?? 256;
        if (HeadDim % 2 != 0) throw json.Error($"has head_dim {HeadDim}; rotary positions need an even one");
        QueryPreAttnScalar = json.Number("query_pre_attn_scalar") ?? 256;
        if (QueryPreAttnScalar <= 0) throw json.Error($"has query_pre_attn_scalar {QueryPreAttnScalar}, which is not above 0");
        FinalLogitSoftcapping = json.Number("final_logit_softcapping");
        if (FinalLogitSoftcapping <= 0) throw json.Error($"has final_logit_softcapping {FinalLogitSoftcapping}, which is not above 0");
        TieWordEmbeddings = json.Flag("tie_word_embeddings") ?? true;
        SlidingWindow = json.Integer("sliding_window") ?? 4096;
        SlidingLayers = json.PerLayer("layer_types", NumHiddenLayers) is { } types
            ? [.. types.Select(type => type == "sliding_attention")]
            : AllBut(json.Integer("sliding_window_pattern") ?? json.Integer("_sliding_window_pattern") ?? DefaultPattern);
        // The new form has a section for each kind of layer, the old one a field for the base of those with a window.
        var both = json.Section("rope_parameters");
        var full = both is { } sections ? json.Section(sections, "full_attention") : null;
        var sliding = both is { } again ? json.Section(again, "sliding_attention") : null;
        Rope = full is null ? Rope : RopeJson.Read(json, full);
        if (full is null && json.Number("rope_theta") is null && (both is not { } flat || json.Number(flat, "rope_theta") is null)) Rope = Rope with { Theta = 1_000_000 };
        LocalRope = sliding is null ? new() { Theta = json.Number("rope_local_base_freq") ?? DefaultLocalTheta } : RopeJson.Read(json, sliding);
        foreach (var rope in (RopeParameters[])[Rope, LocalRope])
        {
            if (rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {rope.PartialRotaryFactor}; this decoder rotates whole heads");
            if (rope.DependsOnLength) throw json.Error($"has rotary positions of type {rope.Type}, which this decoder does not do");
        }
    }

    [SetsRequiredMembers]
    internal Gemma3Config(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        ModelType = "gemma3_text";
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        if (Rope.DependsOnLength) throw gguf.Unsupported($"has rotary positions of type {Rope.Type}, which this decoder does not do.");
        if (SlidingWindow is null) throw gguf.Unsupported("has no sliding window, which this decoder's layers have.");
        SlidingLayers = gguf.FindSlidingLayers(NumHiddenLayers);
        QueryPreAttnScalar = ScalarOfGguf;
        if (gguf.FindNumber("final_logit_softcapping") is > 0 and var cap) FinalLogitSoftcapping = cap;
        LocalRope = new() { Theta = gguf.FindNumber("rope.freq_base_swa") is > 0 and var theta ? theta : DefaultLocalTheta };
    }

    /// <summary>Scores are divided by the root of this, whatever the width of a head.</summary>
    public double QueryPreAttnScalar { get; init; } = 256;

    /// <summary>The bound c of the logits, c · tanh(logits / c); null where they have none.</summary>
    public double? FinalLogitSoftcapping { get; init; }

    /// <summary>The layers that have the sliding window; null: all but every sixth.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

    /// <summary>Rotary positions of the layers with a sliding window.</summary>
    public RopeParameters LocalRope { get; init; } = new() { Theta = DefaultLocalTheta };

    /// <summary>Reads <c>config.json</c>, with rotary settings in the new form (<c>rope_parameters</c>) or the old one (<c>rope_theta</c>, <c>rope_local_base_freq</c>, <c>rope_scaling</c>).</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static Gemma3Config Load(string path) => Load<Gemma3ForCausalLM, Gemma3Config>(path);

    /// <summary>Whether layer <paramref name="layer"/> has the sliding window.</summary>
    public bool IsSliding(int layer) => SlidingLayers is null ? (layer + 1) % DefaultPattern != 0 : SlidingLayers[layer];

    private double ScalarOfGguf => NumHiddenLayers == LayersOf27B ? HiddenSize / (double)NumAttentionHeads : HeadDim;

    private protected override string HuggingFaceClass => nameof(Gemma3ForCausalLM);

    internal override string GgufArchitecture => "gemma3";

    /// <summary>The names of a Gemma, with norms before and after each block.</summary>
    internal static GgufNames GgufNamesOfNorms { get; } = GgufNames.Decoder.With(
        ("post_attention_norm", "post_attention_layernorm"), ("ffn_norm", "pre_feedforward_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm"));

    internal override GgufNames GgufNames => GgufNamesOfNorms;

    /// <summary>llama.cpp's norms have 1 + weight for a weight.</summary>
    internal override double GgufAddition(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0;

    internal override bool HasWindowInLlamaCpp => true;

    private protected override bool StatesHeadDim => true;

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
    [
        ("final_logit_softcapping", FinalLogitSoftcapping),
        ("hidden_activation", "gelu_pytorch_tanh"),
        ("layer_types", new JsonArray([.. Enumerable.Range(0, NumHiddenLayers).Select(layer => (JsonNode)(IsSliding(layer) ? "sliding_attention" : "full_attention"))])),
        ("query_pre_attn_scalar", QueryPreAttnScalar),
        ("rope_parameters", new JsonObject { ["full_attention"] = RopeJson.Write(Rope), ["sliding_attention"] = RopeJson.Write(LocalRope) }),
    ];

    internal override IEnumerable<(string Key, object Value)> GgufFields()
    {
        if (SlidingLayers is not null && !SlidingLayers.SequenceEqual(AllBut(DefaultPattern))) throw Unsayable("other layers without a sliding window than every sixth");
        if (QueryPreAttnScalar != ScalarOfGguf) throw Unsayable($"query_pre_attn_scalar {QueryPreAttnScalar} instead of {ScalarOfGguf}");
        if (FinalLogitSoftcapping is not null) throw Unsayable("final_logit_softcapping");
        if (LocalRope.Type != RopeType.Default || LocalRope.Theta != DefaultLocalTheta) throw Unsayable($"rotary positions other than those of base {DefaultLocalTheta} in its layers with a sliding window");
        return base.GgufFields();

        ExportException Unsayable(string what) => new($"The model has {what}, which GGUF cannot say for {GgufArchitecture}.");
    }

    internal override LogitScaling LogitScaling => new(SoftCap: FinalLogitSoftcapping);

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new Gemma3ForCausalLM(this, dtype, device, initialize: false);

    private bool[] AllBut(int pattern) => [.. Enumerable.Range(0, NumHiddenLayers).Select(layer => (layer + 1) % pattern != 0)];
}

/// <summary>Grouped-query attention with rotary positions and norms of queries and keys.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class Gemma3Attention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly UnitOffsetRMSNorm q_norm, k_norm;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool windowed;
    private readonly double queryScale;

    internal Gemma3Attention(Gemma3Config config, int layer, ScalarType dtype, Device? device) : base(nameof(Gemma3Attention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        windowed = config.IsSliding(layer);
        // Attention divides by the root of the head's width.
        queryScale = Math.Sqrt(headDim / config.QueryPreAttnScalar);
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, false, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, false, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, false, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, false, dtype, device);
        q_norm = new UnitOffsetRMSNorm(headDim, config.RmsNormEps, dtype, device);
        k_norm = new UnitOffsetRMSNorm(headDim, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        var q = q_proj.forward(x).view(batch, tokens, heads, headDim);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        (q, k) = (q_norm.forward(q), k_norm.forward(k));
        if (queryScale != 1) q = q.mul(Scalars.Of(queryScale));
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed)).MoveToOuterDisposeScope();
    }
}

/// <summary>The gated feed-forward block: down(gelu(gate(x)) · up(x)), gelu by its approximation with tanh.</summary>
[FossilAdapt("gate_proj", "up_proj", "down_proj")]
public sealed partial class Gemma3MLP : Module<Tensor, Tensor>
{
    private readonly LinearLayer gate_proj, up_proj, down_proj;

    internal Gemma3MLP(int hidden, int intermediate, ScalarType dtype, Device? device) : base(nameof(Gemma3MLP))
    {
        gate_proj = Projection.Create(hidden, intermediate, false, dtype, device);
        up_proj = Projection.Create(hidden, intermediate, false, dtype, device);
        down_proj = Projection.Create(intermediate, hidden, false, dtype, device);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return down_proj.forward(GatedCall.RunGelu(gate_proj.forward(x), up_proj.forward(x))).MoveToOuterDisposeScope();
    }
}

/// <summary>A layer of Gemma 3: norms before and after attention and feed-forward block.</summary>
public sealed class Gemma3DecoderLayer : SandwichNormDecoderLayer
{
    internal Gemma3DecoderLayer(Gemma3Config config, int layer, ScalarType dtype, Device? device)
        : base(nameof(Gemma3DecoderLayer), config, new Gemma3Attention(config, layer, dtype, device), new Gemma3MLP(config.HiddenSize, config.IntermediateSize, dtype, device), dtype, device)
    {
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class Gemma3Model : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly UnitOffsetRMSNorm norm;
    private readonly int hiddenSize;

    internal Gemma3Model(Gemma3Config config, ScalarType dtype, Device? device) : base(nameof(Gemma3Model))
    {
        hiddenSize = config.HiddenSize;
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new Gemma3DecoderLayer(config, layer, dtype, device), config.LocalRope);
        norm = new UnitOffsetRMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal override TokenEmbedding Embedding => embed_tokens;

    internal override Tensor forward(DecoderInput input)
    {
        using var scope = NewDisposeScope();
        // The scale is rounded to the model's dtype before it is used, as in training.
        var x = embed_tokens.forward(input.Ids);
        x = x.mul(tensor(Math.Sqrt(hiddenSize), dtype: x.dtype, device: x.device));
        return norm.forward(layers.forward(x, input, Recomputes)).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// A Gemma 3 text decoder with its output layer. All seven projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted
/// where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class Gemma3ForCausalLM : CausalLM<Gemma3ForCausalLM, Gemma3Config>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, norms 0, to which 1 is added.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public Gemma3ForCausalLM(Gemma3Config config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal Gemma3ForCausalLM(Gemma3Config config, ScalarType dtype, Device? device, bool initialize) : base(nameof(Gemma3ForCausalLM), config, () => new Gemma3Model(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override double NormStart => 0;

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
