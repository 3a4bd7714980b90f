// Qwen3-MoE in one file, to be read from top to bottom: configuration and names, mixture of experts, layer, model, language model.
// Against Qwen3: the feed-forward block of a layer is many small ones, of which a router chooses a few for each token.
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>The configuration of a Qwen3 mixture of experts. <see cref="CausalLMConfig.IntermediateSize"/> is that of the layers without experts.</summary>
public sealed record Qwen3MoeConfig : CausalLMConfig
{
    /// <summary>Creates a configuration.</summary>
    public Qwen3MoeConfig() : base("qwen3_moe")
    {
    }

    [SetsRequiredMembers]
    internal Qwen3MoeConfig(ModelConfigReader json) : base(json.Expect("hidden_act", "silu"))
    {
        if (json.Flag("attention_bias") == true) throw json.Error("has attention_bias true; this decoder's projections have no biases");
        if (json.Flag("use_sliding_window") == true) throw json.Error("has use_sliding_window true; this decoder has no window");
        if (Rope.PartialRotaryFactor != 1) throw json.Error($"has partial_rotary_factor {Rope.PartialRotaryFactor}; this decoder rotates whole heads");
        NumExperts = json.Integer("num_experts") ?? json.Required("num_local_experts");
        NumExpertsPerToken = json.Integer("num_experts_per_tok") ?? 8;
        if (NumExpertsPerToken > NumExperts) throw json.Error($"chooses {NumExpertsPerToken} of {NumExperts} experts");
        MoeIntermediateSize = json.Integer("moe_intermediate_size") ?? 768;
        NormTopkProb = json.Flag("norm_topk_prob") ?? false;
        SparseStep = json.Integer("decoder_sparse_step") ?? 1;
        DenseLayers = json.LayerNumbers("mlp_only_layers", NumHiddenLayers);
    }

    [SetsRequiredMembers]
    internal Qwen3MoeConfig(GgufConfigReader gguf) : base(gguf)
    {
        ModelType = "qwen3_moe";
        if (RotaryDim != HeadDim) throw gguf.Unsupported($"rotates {RotaryDim} of {HeadDim} dimensions; this decoder rotates whole heads.");
        NumExperts = gguf.Agreed("expert_count", "blk.0.ffn_down_exps.weight", 0);
        NumExpertsPerToken = gguf.Metadata.GetCount($"{gguf.Architecture}.expert_used_count");
        if (NumExpertsPerToken == 0 || NumExpertsPerToken > NumExperts) throw gguf.Contradiction($"chooses {NumExpertsPerToken} of {NumExperts} experts.");
        MoeIntermediateSize = gguf.Agreed("expert_feed_forward_length", "blk.0.ffn_down_exps.weight", 2);
        NormTopkProb = true;
    }

    /// <summary>Experts of a layer.</summary>
    public required int NumExperts { get; init; }

    /// <summary>How many of them a token goes through.</summary>
    public required int NumExpertsPerToken { get; init; }

    /// <summary>Width inside an expert.</summary>
    public required int MoeIntermediateSize { get; init; }

    /// <summary>Whether the weights of a token's experts add up to 1.</summary>
    public bool NormTopkProb { get; init; } = true;

    /// <summary>Every so manieth layer has experts.</summary>
    public int SparseStep { get; init; } = 1;

    /// <summary>Layers that have none all the same.</summary>
    public IReadOnlyList<int> DenseLayers { get; init; } = [];

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static Qwen3MoeConfig Load(string path) => Load<Qwen3MoeForCausalLM, Qwen3MoeConfig>(path);

    /// <summary>Whether layer <paramref name="layer"/> has experts.</summary>
    public bool HasExperts(int layer) => (layer + 1) % SparseStep == 0 && !DenseLayers.Contains(layer);

    private protected override string HuggingFaceClass => nameof(Qwen3MoeForCausalLM);

    internal override string GgufArchitecture => "qwen3moe";

    internal override GgufNames GgufNames => GgufNames.Decoder.With(
        ("ffn_gate_inp", "mlp.gate"), ("ffn_gate_exps", "mlp.experts.*.gate_proj"), ("ffn_up_exps", "mlp.experts.*.up_proj"), ("ffn_down_exps", "mlp.experts.*.down_proj"));

    /// <summary>llama.cpp's own converter does not round the router.</summary>
    internal override bool IsFloat32InGguf(string name) => name.EndsWith(".mlp.gate.weight", StringComparison.Ordinal);

    private protected override bool StatesHeadDim => true;

    private protected override IEnumerable<(string Name, JsonNode? Value)> OwnFields() =>
    [
        ("decoder_sparse_step", SparseStep),
        ("hidden_act", "silu"),
        ("mlp_only_layers", new JsonArray([.. DenseLayers.Select(layer => (JsonNode)layer)])),
        ("moe_intermediate_size", MoeIntermediateSize),
        ("norm_topk_prob", NormTopkProb),
        ("num_experts", NumExperts),
        ("num_experts_per_tok", NumExpertsPerToken),
    ];

    internal override IEnumerable<(string Key, object Value)> GgufFields()
    {
        if (!NormTopkProb) throw new ExportException($"The model has norm_topk_prob false, which GGUF cannot say for {GgufArchitecture}.");
        if (!Enumerable.Range(0, NumHiddenLayers).All(HasExperts)) throw new ExportException($"The model has layers without experts, which GGUF cannot say for {GgufArchitecture}.");
        return base.GgufFields().Concat([("expert_count", (uint)NumExperts), ("expert_used_count", (uint)NumExpertsPerToken), ("expert_feed_forward_length", (uint)MoeIntermediateSize)]);
    }

    internal override CausalLM Allocate(ScalarType dtype, Device? device) => new Qwen3MoeForCausalLM(this, dtype, device, initialize: false);
}

/// <summary>A mixture of experts: each token goes through the few that its router gives the highest probabilities, and gets their sum, weighted by these. Its adapters are those of each expert's projections; the router is adapted where <c>TargetModules</c> names it.</summary>
[FossilAdapt("gate", OnRequest = true)]
public sealed partial class Qwen3MoeSparseBlock : Module<Tensor, Tensor>
{
    private readonly LinearLayer gate;
    private readonly ModuleList<LlamaMLP> experts;
    private readonly int chosen;
    private readonly bool normalises;

    internal Qwen3MoeSparseBlock(Qwen3MoeConfig config, ScalarType dtype, Device? device) : base(nameof(Qwen3MoeSparseBlock))
    {
        (chosen, normalises) = (config.NumExpertsPerToken, config.NormTopkProb);
        gate = Projection.Create(config.HiddenSize, config.NumExperts, false, dtype, device);
        experts = new([.. Enumerable.Range(0, config.NumExperts).Select(_ => new LlamaMLP(config.HiddenSize, config.MoeIntermediateSize, false, dtype, device))]);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var flat = x.reshape(-1, x.size(-1));
        var (weights, ids) = functional.softmax(gate.forward(flat), -1, x.dtype == ScalarType.Float64 ? x.dtype : ScalarType.Float32).topk(chosen, -1);
        if (normalises) weights = weights.div(weights.sum(-1, keepdim: true));
        weights = weights.to(x.dtype).view(-1, 1);

        // A choice's number divided by those of a token is the token's.
        var y = zeros_like(flat);
        foreach (var choices in ids.cpu().data<long>().ToArray().Index().GroupBy(choice => choice.Item, choice => (long)choice.Index).OrderBy(choices => choices.Key))
        {
            using var part = NewDisposeScope();
            long[] tokens = [.. choices.Select(choice => choice / chosen)];
            var (places, rows) = (tensor(choices.ToArray(), device: x.device), tensor(tokens, device: x.device));
            using var seen = DropoutTokens.See(tokens, x.size(-2));
            y.index_add_(0, rows, experts[(int)choices.Key].forward(flat.index_select(0, rows)).mul(weights.index_select(0, places)), Scalars.One);
        }

        return y.view(x.shape).MoveToOuterDisposeScope();
    }
}

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)), where the latter may be a mixture of experts.</summary>
public sealed class Qwen3MoeDecoderLayer : PreNormDecoderLayer
{
    internal Qwen3MoeDecoderLayer(Qwen3MoeConfig config, int layer, ScalarType dtype, Device? device)
        : base(nameof(Qwen3MoeDecoderLayer), config, new LlamaAttention(config, layer, new() { QueryKeyNorm = true }, dtype, device), FeedForward(config, layer, dtype, device), dtype, device)
    {
    }

    private static Module<Tensor, Tensor> FeedForward(Qwen3MoeConfig config, int layer, ScalarType dtype, Device? device) => config.HasExperts(layer)
        ? new Qwen3MoeSparseBlock(config, dtype, device)
        : new LlamaMLP(config.HiddenSize, config.IntermediateSize, false, dtype, device);
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class Qwen3MoeModel : DecoderModel
{
    private readonly TokenEmbedding embed_tokens;
    private readonly DecoderLayers layers;
    private readonly RMSNorm norm;

    internal Qwen3MoeModel(Qwen3MoeConfig config, ScalarType dtype, Device? device) : base(nameof(Qwen3MoeModel))
    {
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new DecoderLayers(config, layer => new Qwen3MoeDecoderLayer(config, layer, dtype, device));
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
/// A Qwen3 mixture of experts with its output layer. The projections of attention and of each expert are annotated, so <c>AttachAdapters</c> works on it; routers, the output layer
/// and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class Qwen3MoeForCausalLM : CausalLM<Qwen3MoeForCausalLM, Qwen3MoeConfig>
{
    private readonly Module<Tensor, Tensor> lm_head;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="CausalLMConfig.InitializerRange"/>, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public Qwen3MoeForCausalLM(Qwen3MoeConfig config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    internal Qwen3MoeForCausalLM(Qwen3MoeConfig config, ScalarType dtype, Device? device, bool initialize) : base(nameof(Qwen3MoeForCausalLM), config, () => new Qwen3MoeModel(config, dtype, device))
    {
        lm_head = CreateOutput(dtype, device);
        RegisterComponents();
        Complete(initialize);
    }

    private protected override Module<Tensor, Tensor> Output => lm_head;

    private protected override Tensor Project(Tensor hidden) => lm_head.forward(hidden);
}
