// The Llama family in one file, to be read from top to bottom: norm, attention, feed-forward, layer, model, language model.
// Module names are Hugging Face's (model.layers.0.self_attn.q_proj …), so that checkpoints load by name.
using Fossil.Concurrency;
using Fossil.Models.Kernels;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Root mean square norm: x / sqrt(mean(x²) + eps) · weight, computed in float32 (…, n).</summary>
public sealed class RMSNorm : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly double eps;

    internal RMSNorm(int size, double eps, ScalarType dtype, Device? device) : base(nameof(RMSNorm))
    {
        this.eps = eps;
        weight = Projection.Allocate([size], dtype, device);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => RmsNormCall.Run(x, weight, eps);
}

/// <summary>Token ids (…) to vectors (…, hidden_size).</summary>
public sealed class TokenEmbedding : Module<Tensor, Tensor>, IEmbedding
{
    private readonly Parameter weight;

    internal TokenEmbedding(int count, int size, ScalarType dtype, Device? device) : base(nameof(TokenEmbedding))
    {
        weight = Projection.Allocate([count, size], dtype, device);
        RegisterComponents();
    }

    /// <summary>The matrix (vocab_size, hidden_size).</summary>
    public Parameter Weight => weight;

    Tensor IEmbedding.Weight => weight;

    /// <inheritdoc/>
    public override Tensor forward(Tensor ids)
    {
        using var flat = ids.flatten();
        using var rows = weight.index_select(0, flat);
        return rows.view([.. ids.shape, weight.shape[1]]);
    }
}

/// <summary>What the layers of one forward pass share: positions, mask and cache.</summary>
/// <param name="Cos">cos of the positions' angles, float32, (tokens, head_dim); (batch · tokens, head_dim) with padding.</param>
/// <param name="Sin">sin of the same.</param>
/// <param name="Mask">Who sees whom, (batch or 1, 1, tokens, all tokens), true = seen; null: causal.</param>
/// <param name="WindowMask">The same for layers with a sliding window.</param>
/// <param name="Starts">Where packed examples begin (<see cref="TokenBatch.ExampleStarts"/>), (batch, tokens); null where nothing is packed. Heeded where there is no mask, which has it in it.</param>
/// <param name="Cache">Keys and values of earlier tokens.</param>
internal sealed record AttentionContext(Tensor Cos, Tensor Sin, Tensor? Mask, Tensor? WindowMask, Tensor? Starts, KeyValueCache? Cache);

/// <summary>Grouped-query attention with rotary positions.</summary>
[FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj")]
public sealed partial class LlamaAttention : Module
{
    private readonly Linear q_proj, k_proj, v_proj, o_proj;
    private readonly RMSNorm? q_norm, k_norm;
    private readonly int layer, heads, keyValueHeads, headDim;
    private readonly bool windowed;

    internal LlamaAttention(LlamaConfig config, int layer, ScalarType dtype, Device? device) : base(nameof(LlamaAttention))
    {
        this.layer = layer;
        (heads, keyValueHeads, headDim) = (config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim);
        windowed = config.WindowOf(layer) is not null;
        q_proj = Projection.Create(config.HiddenSize, heads * headDim, config.QueryKeyValueBias, dtype, device);
        k_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.QueryKeyValueBias, dtype, device);
        v_proj = Projection.Create(config.HiddenSize, keyValueHeads * headDim, config.QueryKeyValueBias, dtype, device);
        o_proj = Projection.Create(heads * headDim, config.HiddenSize, config.OutputBias, dtype, device);
        if (config.QueryKeyNorm)
        {
            q_norm = new RMSNorm(headDim, config.RmsNormEps, dtype, device);
            k_norm = new RMSNorm(headDim, config.RmsNormEps, dtype, device);
        }
        RegisterComponents();
    }

    internal Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        var (batch, tokens, size) = (x.shape[0], x.shape[1], headDim);
        var q = q_proj.forward(x).view(batch, tokens, heads, size);
        var k = k_proj.forward(x).view(batch, tokens, keyValueHeads, size);
        var v = v_proj.forward(x).view(batch, tokens, keyValueHeads, size);
        if (q_norm is not null) q = q_norm.forward(q);
        if (k_norm is not null) k = k_norm.forward(k);

        var mask = windowed ? context.WindowMask : context.Mask;
        if (context.Cache is null && mask is null && CausalAttentionCall.Fits(q))
            return o_proj.forward(CausalAttentionCall.Run(q, k, v, context.Cos, context.Sin, context.Starts)).MoveToOuterDisposeScope();
        if (mask is null && context.Starts is not null) mask = AttentionMasks.OfExamples(context.Starts);

        // Each key-value head serves a group of query heads. The cache holds it once; without a cache it is repeated while it is rotated.
        var (group, cache) = (heads / keyValueHeads, context.Cache);
        var repeat = cache is null ? group : 1;
        q = RotaryCall.Run(q, context.Cos, context.Sin, 1).transpose(1, 2);
        k = RotaryCall.Run(k, context.Cos, context.Sin, repeat).transpose(1, 2);
        v = (repeat == 1 ? v : RotaryCall.Run(v, null, null, repeat)).transpose(1, 2);
        if (cache is not null) (k, v) = cache.Append(layer, k, v);

        var y = cache is not null && tokens == 1 ? AttendWithOneToken(q, k, v, mask) : Attend(q, k, v, mask);
        return o_proj.forward(y).MoveToOuterDisposeScope();
    }

    /// <summary>Queries (batch, heads, tokens, head_dim) on keys and values (batch, heads or key-value heads, all tokens, head_dim), to (batch, tokens, heads · head_dim).</summary>
    private Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor? mask)
    {
        if (k.shape[1] < heads) (k, v) = (Repeat(k), Repeat(v));
        var y = functional.scaled_dot_product_attention(q, k, v, mask, is_casual: mask is null);
        return y.transpose(1, 2).reshape(q.shape[0], q.shape[2], heads * headDim);

        Tensor Repeat(Tensor x) =>
            x.unsqueeze(2).expand(x.shape[0], keyValueHeads, heads / keyValueHeads, x.shape[2], headDim).reshape(x.shape[0], heads, x.shape[2], headDim);
    }

    /// <summary>One new token: the query heads of a group become the rows of their key-value head, so that the cache is read where it lies.</summary>
    private Tensor AttendWithOneToken(Tensor q, Tensor k, Tensor v, Tensor? mask)
    {
        var rows = q.reshape(q.shape[0], keyValueHeads, heads / keyValueHeads, headDim);
        return functional.scaled_dot_product_attention(rows, k, v, mask).reshape(q.shape[0], 1, heads * headDim);
    }
}

/// <summary>The gated feed-forward block: down(silu(gate(x)) · up(x)).</summary>
[FossilAdapt("gate_proj", "up_proj", "down_proj")]
public sealed partial class LlamaMLP : Module<Tensor, Tensor>
{
    private readonly Linear gate_proj, up_proj, down_proj;

    internal LlamaMLP(LlamaConfig config, ScalarType dtype, Device? device) : base(nameof(LlamaMLP))
    {
        gate_proj = Projection.Create(config.HiddenSize, config.IntermediateSize, config.MlpBias, dtype, device);
        up_proj = Projection.Create(config.HiddenSize, config.IntermediateSize, config.MlpBias, dtype, device);
        down_proj = Projection.Create(config.IntermediateSize, config.HiddenSize, config.MlpBias, dtype, device);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var gated = GatedCall.Run(gate_proj.forward(x), up_proj.forward(x));
        return down_proj.forward(gated).MoveToOuterDisposeScope();
    }
}

/// <summary>x + attention(norm(x)), then x + mlp(norm(x)).</summary>
public sealed class LlamaDecoderLayer : Module
{
    private readonly RMSNorm input_layernorm;
    private readonly LlamaAttention self_attn;
    private readonly RMSNorm post_attention_layernorm;
    private readonly LlamaMLP mlp;

    internal LlamaDecoderLayer(LlamaConfig config, int layer, ScalarType dtype, Device? device) : base(nameof(LlamaDecoderLayer))
    {
        input_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        self_attn = new LlamaAttention(config, layer, dtype, device);
        post_attention_layernorm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        mlp = new LlamaMLP(config, dtype, device);
        RegisterComponents();
    }

    internal Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        x = x.add(self_attn.forward(input_layernorm.forward(x), context), Scalars.One);
        return x.add(mlp.forward(post_attention_layernorm.forward(x)), Scalars.One).MoveToOuterDisposeScope();
    }
}

/// <summary>Embedding, layers, last norm: token ids (batch, tokens) to hidden states (batch, tokens, hidden_size).</summary>
[FossilAdapt("embed_tokens", OnRequest = true)]
public sealed partial class LlamaModel : Module, ISupportsGradientCheckpointing
{
    private readonly TokenEmbedding embed_tokens;
    private readonly ModuleList<LlamaDecoderLayer> layers;
    private readonly RMSNorm norm;
    private readonly RotaryEmbedding rotary;
    private readonly LlamaConfig config;

    internal LlamaModel(LlamaConfig config, ScalarType dtype, Device? device) : base(nameof(LlamaModel))
    {
        this.config = config;
        rotary = new RotaryEmbedding(config);
        embed_tokens = new TokenEmbedding(config.VocabSize, config.HiddenSize, dtype, device);
        layers = new ModuleList<LlamaDecoderLayer>([.. Enumerable.Range(0, config.NumHiddenLayers).Select(i => new LlamaDecoderLayer(config, i, dtype, device))]);
        norm = new RMSNorm(config.HiddenSize, config.RmsNormEps, dtype, device);
        RegisterComponents();
    }

    internal TokenEmbedding Embedding => embed_tokens;

    /// <inheritdoc/>
    public bool GradientCheckpointing { get; set; }

    internal Tensor forward(Tensor ids, Tensor? attentionMask, KeyValueCache? cache, Tensor? exampleStarts = null)
    {
        using var scope = NewDisposeScope();
        var x = embed_tokens.forward(ids);
        var context = exampleStarts is null ? AttentionMasks.CreateContext(config, rotary, x, attentionMask, cache) : AttentionMasks.CreateContext(config, rotary, x, exampleStarts);
        foreach (var layer in layers)
        {
            var next = GradientCheckpointing && training && cache is null ? Recomputed(layer, x, context) : layer.forward(x, context);
            x.Dispose();
            x = next;
        }
        cache?.Advance(ids.shape[1]);
        return norm.forward(x).MoveToOuterDisposeScope();
    }

    /// <summary>The layer without its activations: the backward pass computes them again.</summary>
    private static Tensor Recomputed(LlamaDecoderLayer layer, Tensor x, AttentionContext context) => ActivationCheckpoint.Run(
        (input, shared) => layer.forward(input, new AttentionContext(shared[0]!, shared[1]!, shared[2], shared[3], shared[4], Cache: null)),
        x, context.Cos, context.Sin, context.Mask, context.WindowMask, context.Starts);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) rotary.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>
/// A decoder of the Llama family (Llama 2 and 3, SmolLM2, Mistral, Qwen2, Qwen3) with its output layer. All seven projections of each layer are annotated,
/// so <c>AttachAdapters</c> works on it; the output layer and the embedding are adapted where <c>TargetModules</c> names them.
/// </summary>
/// <remarks>
/// Several threads may use one decoder: each call of a method here waits until no other thread is inside. <see cref="ExclusiveUse.UseExclusively"/> keeps it over several calls, such as a step of a
/// training loop of your own.
/// </remarks>
[FossilAdapt("lm_head", OnRequest = true)]
public sealed partial class LlamaForCausalLM : Module<Tensor, Tensor>
{
    private readonly LlamaModel model;
    private readonly Module<Tensor, Tensor> lm_head;
    private readonly HashSet<string> ownNames;
    private LlamaConfig config;

    /// <summary>Creates a decoder with fresh weights: normal with <see cref="LlamaConfig.InitializerRange"/>, biases 0, norms 1.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">dtype of the weights; float32 where null.</param>
    /// <param name="device">Device of the weights; the CPU where null.</param>
    public LlamaForCausalLM(LlamaConfig config, ScalarType? dtype = null, Device? device = null)
        : this(config, dtype ?? float32, device, initialize: true)
    {
    }

    private LlamaForCausalLM(LlamaConfig config, ScalarType dtype, Device? device, bool initialize) : base(nameof(LlamaForCausalLM))
    {
        ArgumentNullException.ThrowIfNull(config);
        this.config = config;
        model = new LlamaModel(config, dtype, device);
        lm_head = config.TieWordEmbeddings ? new TiedLinear(model.Embedding) : Projection.Create(config.HiddenSize, config.VocabSize, false, dtype, device);
        RegisterComponents();
        ownNames = named_parameters().Select(p => p.name).Append(OutputWeight).ToHashSet(StringComparer.Ordinal);
        if (initialize) InitializeWeights();
    }

    /// <summary>The architecture as it is now: the output layer is the embedding matrix until it gets a weight of its own, by the checkpoint or by an adapter.</summary>
    public LlamaConfig Config
    {
        get
        {
            var isTied = lm_head is TiedLinear { IsTied: true };
            return config.TieWordEmbeddings == isTied ? config : config = config with { TieWordEmbeddings = isTied };
        }
    }

    /// <summary>Token ids (batch, tokens), int64, to logits (batch, tokens, vocab_size).</summary>
    public override Tensor forward(Tensor input_ids) => forward(input_ids, attention_mask: null, cache: null);

    /// <summary>Logits, with padding and a cache.</summary>
    /// <param name="input_ids">Token ids (batch, tokens), int64.</param>
    /// <param name="attention_mask">(batch, cached and new tokens): 1 or true for tokens, 0 or false for padding; null without padding. Positions count only tokens.</param>
    /// <param name="cache">Keys and values of the tokens before; null to compute from the start.</param>
    /// <param name="last_only">Only the logits of the last token, (batch, 1, vocab_size).</param>
    public Tensor forward(Tensor input_ids, Tensor? attention_mask, KeyValueCache? cache, bool last_only = false)
    {
        using var entry = ModelGuard.Of(this).Enter();
        using var scope = NewDisposeScope();
        var hidden = model.forward(input_ids, attention_mask, cache);
        if (last_only) hidden = hidden.narrow(1, hidden.shape[1] - 1, 1);
        return Logits(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Mean cross-entropy of the next token in nats, a float32 scalar: logits at t against <paramref name="labels"/> at t + 1, as Hugging Face computes it.
    /// </summary>
    /// <param name="input_ids">Token ids (batch, tokens), int64.</param>
    /// <param name="labels">The same shape; -100 where a token does not count.</param>
    /// <param name="attention_mask">As in <see cref="forward(Tensor, Tensor?, KeyValueCache?, bool)"/>.</param>
    /// <exception cref="NoLossItemsException">No label counts.</exception>
    public Tensor loss(Tensor input_ids, Tensor labels, Tensor? attention_mask = null)
    {
        using var entry = ModelGuard.Of(this).Enter();
        using var scope = NewDisposeScope();
        var hidden = model.forward(input_ids, attention_mask, cache: null);
        // The last token predicts nothing: it is cut off before the output layer, not after.
        var last = hidden.shape[1] - 1;
        var logits = Logits(hidden.narrow(1, 0, last).reshape(-1, hidden.shape[2]));
        return CrossEntropyCall.Run(logits, labels.narrow(1, 1, last).reshape(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross-entropy in nats over the positions that a batch of a <see cref="Trainer{TBatch}"/> marks; logits are computed for these alone, and packed examples do not see each other. A float32 scalar.</summary>
    /// <param name="batch">Sequences and what is learned of them, on any device.</param>
    /// <exception cref="NoLossItemsException">No token of the batch counts.</exception>
    public Tensor loss(TokenBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using var entry = ModelGuard.Of(this).Enter();
        using var scope = NewDisposeScope();
        var device = model.Embedding.Weight.device;
        var hidden = model.forward(batch.InputIds.to(device), attentionMask: null, cache: null, batch.ExampleStarts?.to(device));
        var logits = Logits(hidden.view(-1, hidden.shape[2]).index_select(0, batch.LossPositions.to(device)));
        return CrossEntropyCall.Run(logits, batch.Targets.to(device)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // A finalizer must not wait; and what it finds is used by no thread.
        using var entry = disposing ? ModelGuard.Of(this).Enter() : default;
        base.Dispose(disposing);
    }

    private Tensor Logits(Tensor hidden) => lm_head.forward(hidden);

    private void InitializeWeights()
    {
        using var noGrad = no_grad();
        foreach (var (name, parameter) in named_parameters())
        {
            if (name.EndsWith(".bias", StringComparison.Ordinal)) init.zeros_(parameter);
            else if (parameter.dim() == 1) init.ones_(parameter);
            else init.normal_(parameter, 0, Config.InitializerRange);
        }
    }
}

/// <summary>Parameters and linear layers that are allocated, not filled: a checkpoint or the initialisation writes them.</summary>
internal static class Projection
{
    public static Linear Create(int inputs, int outputs, bool bias, ScalarType dtype, Device? device) =>
        Linear(Allocate([outputs, inputs], dtype, device), bias ? Allocate([outputs], dtype, device) : null);

    /// <summary>A parameter that outlives the dispose scope in which the model is made.</summary>
    public static Parameter Allocate(long[] shape, ScalarType dtype, Device? device)
    {
        var parameter = new Parameter(empty(shape, dtype: dtype, device: device));
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
