// Phi-3 and Phi-4-mini in one file, to be read from top to bottom: configuration and names, attention, feed-forward, layer, model, language model.
// Against Llama: queries, keys and values come from one projection, gate and up from another; heads may be rotated in part, by short or long factors.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a Phi-3 model; dropout of the residual stream and of embeddings, which published models do not have, is left out.</summary>
public sealed record Phi3Config : CausalLMConfig
{
    /// <summary>Creates a configuration.</summary>
    public Phi3Config() : base("phi3")
    {
    }

    [SetsRequiredMembers]
    internal Phi3Config(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        SlidingWindow = json.Integer("sliding_window");
        OriginalMaxPositionEmbeddings = json.Integer("original_max_position_embeddings") ?? MaxPositionEmbeddings;
    }

    [SetsRequiredMembers]
    internal Phi3Config(GgufConfigReader gguf) : base(gguf.ExpectDense()) =>
        OriginalMaxPositionEmbeddings = gguf.FindCount("rope.scaling.original_context_length") ?? MaxPositionEmbeddings;

    /// <summary>The length that the model was first trained on.</summary>
    public int OriginalMaxPositionEmbeddings { get; init; } = 4096;

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static Phi3Config Load(string path) => Load<Phi3ForCausalLM, Phi3Config>(path);

    private protected override string HuggingFaceClass => nameof(Phi3ForCausalLM);

    internal override GgufNames GgufNames => GgufNames.Decoder.With(("attn_qkv", "self_attn.qkv_proj"), ("ffn_up", "mlp.gate_up_proj"));

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
        [("hidden_act", "silu"), ("original_max_position_embeddings", OriginalMaxPositionEmbeddings), ("partial_rotary_factor", Rope.PartialRotaryFactor)];

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new Phi3ForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>Grouped-query attention with rotary positions; one projection to queries, keys and values.</summary>
[FossilAdapt("qkv_proj", "o_proj")]
public sealed partial class Phi3Attention : DecoderAttention
{
    private readonly LinearLayer qkv_proj, o_proj;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool windowed;

    internal Phi3Attention(Phi3Config config, int layer, ScalarType dtype, Device? device) : base(nameof(Phi3Attention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        windowed = config.SlidingWindow is not null;
        qkv_proj = Projection.Create(config.HiddenSize, (heads + (2 * keyValueHeads)) * headDim, false, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, false, dtype, device);
        RegisterComponents();
        Parts = new([qkv_proj], o_proj, heads, keyValueHeads, headDim, layer) { Window = config.SlidingWindow };
    }

    internal override AttentionParts Parts { get; }

    internal override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var qkv = qkv_proj.forward(x).view(x.size(0), x.size(1), heads + (2 * keyValueHeads), headDim);
        var (q, k, v) = (qkv.narrow(2, 0, heads), qkv.narrow(2, heads, keyValueHeads), qkv.narrow(2, heads + keyValueHeads, keyValueHeads));
        return o_proj.forward(GroupedQueryAttention.Run(q, k, v, context, layer, windowed)).MoveToOuterDisposeScope();
    }
}

/// <summary>The gated feed-forward block, down(silu(gate) · up); one projection to gate and up.</summary>
[FossilAdapt("gate_up_proj", "down_proj")]
public sealed partial class Phi3MLP : Module<Tensor, Tensor>, IGatedBlock
{
    private readonly LinearLayer gate_up_proj, down_proj;
    private readonly GatedParts parts;

    internal Phi3MLP(Phi3Config config, ScalarType dtype, Device? device) : base(nameof(Phi3MLP))
    {
        gate_up_proj = Projection.Create(config.HiddenSize, 2 * config.IntermediateSize, false, dtype, device);
        down_proj = Projection.Create(config.IntermediateSize, config.HiddenSize, false, dtype, device);
        RegisterComponents();
        parts = new([gate_up_proj], down_proj);
    }

    GatedParts IGatedBlock.Parts => parts;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var gateAndUp = gate_up_proj.forward(x).chunk(2, dim: -1);
        return down_proj.forward(GatedCall.Run(gateAndUp[0], gateAndUp[1])).MoveToOuterDisposeScope();
    }
}

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)).</summary>
public sealed class Phi3DecoderLayer : PreNormDecoderLayer
{
    internal Phi3DecoderLayer(Phi3Config config, int layer, ScalarType dtype, Device? device)
        : base(nameof(Phi3DecoderLayer), config, new Phi3Attention(config, layer, dtype, device), new Phi3MLP(config, dtype, device), dtype, device)
    {
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class Phi3Model : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;

    internal Phi3Model(Phi3Config config, ScalarType dtype, Device? device) : base(nameof(Phi3Model))
    {
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new Phi3DecoderLayer(config, layer, dtype, device));
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
/// A Phi-3 decoder (Phi-3-mini, -medium, Phi-3.5-mini, Phi-4-mini) with its output layer. The four projections of each layer are annotated, so <c>AttachAdapters</c> works on it; the output layer and
/// the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class Phi3ForCausalLM : CausalLM<Phi3ForCausalLM, Phi3Config>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public Phi3ForCausalLM(Phi3Config config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal Phi3ForCausalLM(Phi3Config config, ScalarType dtype, Device? device, bool initialize) : base(nameof(Phi3ForCausalLM), config, () => new Phi3Model(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
