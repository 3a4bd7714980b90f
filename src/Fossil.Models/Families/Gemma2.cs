// Gemma 2 in one file, to be read from top to bottom: configuration and names, attention, layer, model, language model.
// Against Gemma 3: scores are bounded (a soft cap), as logits are; no norms of queries and keys; every second layer has a sliding window, with the angles of all.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Concurrency;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a Gemma 2 decoder.</summary>
public sealed record Gemma2Config : CausalLMConfig
{
    // transformers and llama.cpp know these by themselves.
    private const double DefaultScoreCap = 50, DefaultLogitCap = 30;
    private const int DefaultWindow = 4096, LayersOf27B = 46;

    /// <summary>Creates a configuration.</summary>
    public Gemma2Config() : base("gemma2") => SlidingWindow = DefaultWindow;

    [SetsRequiredMembers]
    internal Gemma2Config(ModelConfigReader json) : base(json.Expect("hidden_activation", "gelu_pytorch_tanh"))
    {
        if (json.Flag("use_bidirectional_attention") == true) throw json.Error("has use_bidirectional_attention true; this decoder is causal");
        if (json.Flag("attention_bias") == true) throw json.Error("has attention_bias true; this decoder's projections have no biases");
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        HeadDim = json.Integer("head_dim") ?? 256;
        if (HeadDim % 2 != 0) throw json.Error($"has head_dim {HeadDim}; rotary positions need an even one");
        QueryPreAttnScalar = json.Number("query_pre_attn_scalar") ?? 256;
        if (QueryPreAttnScalar <= 0) throw json.Error($"has query_pre_attn_scalar {QueryPreAttnScalar}, which is not above 0");
        AttnLogitSoftcapping = Cap("attn_logit_softcapping", DefaultScoreCap);
        FinalLogitSoftcapping = Cap("final_logit_softcapping", DefaultLogitCap);
        TieWordEmbeddings = json.Flag("tie_word_embeddings") ?? true;
        SlidingWindow = json.Integer("sliding_window") ?? DefaultWindow;
        SlidingLayers = json.PerLayer("layer_types", NumHiddenLayers)?.Select(type => type == "sliding_attention").ToArray();

        // Null is none; what is not stated at all is the default.
        double? Cap(string name, double missing)
        {
            var cap = json.Fields().ContainsKey(name) ? json.Number(name) : missing;
            return cap is null or > 0 ? cap : throw json.Error($"has {name} {cap}, which is not above 0");
        }
    }

    [SetsRequiredMembers]
    internal Gemma2Config(GgufConfigReader gguf) : base(gguf.ExpectDense())
    {
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        SlidingWindow ??= DefaultWindow;
        SlidingLayers = gguf.FindSlidingLayers(NumHiddenLayers);
        QueryPreAttnScalar = ScalarOfGguf;
        AttnLogitSoftcapping = Cap("attn_logit_softcapping", DefaultScoreCap);
        FinalLogitSoftcapping = Cap("final_logit_softcapping", DefaultLogitCap);

        double Cap(string key, double missing) => gguf.FindNumber(key) is not { } cap ? missing : cap > 0 ? cap : throw gguf.Contradiction($"states '{key}' as {cap}, which is not above 0.");
    }

    /// <summary>Scores are divided by the root of this, whatever the width of a head.</summary>
    public double QueryPreAttnScalar { get; init; } = 256;

    /// <summary>The bound c of attention scores, c · tanh(scores / c); null where they have none.</summary>
    public double? AttnLogitSoftcapping { get; init; } = DefaultScoreCap;

    /// <summary>The bound c of the logits, c · tanh(logits / c); null where they have none.</summary>
    public double? FinalLogitSoftcapping { get; init; } = DefaultLogitCap;

    /// <summary>The layers that have the sliding window; null: every second, from the first on.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static Gemma2Config Load(string path) => Load<Gemma2ForCausalLM, Gemma2Config>(path);

    /// <summary>Whether layer <paramref name="layer"/> has the sliding window.</summary>
    public bool IsSliding(int layer) => SlidingLayers is null ? layer % 2 == 0 : SlidingLayers[layer];

    private double ScalarOfGguf => NumHiddenLayers == LayersOf27B ? HiddenSize / (double)NumAttentionHeads : HeadDim;

    private protected override string HuggingFaceClass => nameof(Gemma2ForCausalLM);

    internal override GgufNames GgufNames => Gemma3Config.GgufNamesOfNorms;

    /// <summary>llama.cpp's norms have 1 + weight for a weight.</summary>
    internal override double GgufAddition(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0;

    internal override bool HasWindowInLlamaCpp => true;

    private protected override bool StatesHeadDim => true;

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
    [
        ("attn_logit_softcapping", AttnLogitSoftcapping),
        ("final_logit_softcapping", FinalLogitSoftcapping),
        ("hidden_activation", "gelu_pytorch_tanh"),
        ("layer_types", new JsonArray([.. Enumerable.Range(0, NumHiddenLayers).Select(layer => (JsonNode)(IsSliding(layer) ? "sliding_attention" : "full_attention"))])),
        ("query_pre_attn_scalar", QueryPreAttnScalar),
    ];

    internal override IEnumerable<(string Key, object Value)> GgufFields()
    {
        if (Enumerable.Range(0, NumHiddenLayers).Any(layer => IsSliding(layer) != (layer % 2 == 0))) throw Unsayable("other layers with a sliding window than every second");
        if (QueryPreAttnScalar != ScalarOfGguf) throw Unsayable($"query_pre_attn_scalar {QueryPreAttnScalar} instead of {ScalarOfGguf}");
        if (AttnLogitSoftcapping is not { } scores) throw Unsayable("no attn_logit_softcapping");
        if (FinalLogitSoftcapping is not { } logits) throw Unsayable("no final_logit_softcapping");
        return base.GgufFields().Concat([("attn_logit_softcapping", (float)scores), ("final_logit_softcapping", (float)logits)]);

        ExportException Unsayable(string what) => new($"The model has {what}, which GGUF cannot say for {GgufArchitecture}.");
    }

    internal override LogitScaling LogitScaling => new(SoftCap: FinalLogitSoftcapping);

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new Gemma2ForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>Grouped-query attention with rotary positions and bounded scores.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class Gemma2Attention : DecoderAttention
{
    private readonly LinearLayer q_proj, k_proj, v_proj, o_proj;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool windowed;
    private readonly double queryScale;
    private readonly double? scoreCap;

    internal Gemma2Attention(Gemma2Config config, int layer, ScalarType dtype, Device? device) : base(nameof(Gemma2Attention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        (windowed, scoreCap) = (config.IsSliding(layer), config.AttnLogitSoftcapping);
        // Attention divides by the root of the head's width.
        queryScale = Math.Sqrt(headDim / config.QueryPreAttnScalar);
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, false, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, false, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, false, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, false, dtype, device);
        RegisterComponents();
    }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens) = (x.size(0), x.size(1));
        var q = q_proj.forward(x).view(batch, tokens, heads, headDim);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, headDim);
        if (queryScale != 1) q = q.mul(Scalars.Of(queryScale));
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed, scoreCap)).MoveToOuterDisposeScope();
    }
}

/// <summary>A layer of Gemma 2: norms before and after attention and feed-forward block.</summary>
public sealed class Gemma2DecoderLayer : SandwichNormDecoderLayer
{
    internal Gemma2DecoderLayer(Gemma2Config config, int layer, ScalarType dtype, Device? device)
        : base(nameof(Gemma2DecoderLayer), config, new Gemma2Attention(config, layer, dtype, device), new Gemma3MLP(config.HiddenSize, config.IntermediateSize, dtype, device), dtype, device)
    {
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class Gemma2Model : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly UnitOffsetRMSNorm norm;
    private readonly int hiddenSize;

    internal Gemma2Model(Gemma2Config config, ScalarType dtype, Device? device) : base(nameof(Gemma2Model))
    {
        hiddenSize = config.HiddenSize;
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new Gemma2DecoderLayer(config, layer, dtype, device));
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
/// A Gemma 2 decoder with its output layer. All seven projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where
/// <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class Gemma2ForCausalLM : CausalLM<Gemma2ForCausalLM, Gemma2Config>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, norms 0, to which 1 is added.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public Gemma2ForCausalLM(Gemma2Config config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal Gemma2ForCausalLM(Gemma2Config config, ScalarType dtype, Device? device, bool initialize) : base(nameof(Gemma2ForCausalLM), config, () => new Gemma2Model(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override double NormStart => 0;

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
