using Fossil.Concurrency;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Kernels;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Training;
using Fossil.Weights;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>
/// A causal language model: token ids to the logits of the next tokens, with a cache of keys and values. Generation, chat, training, evaluation and export know models by this class alone; a family
/// (<see cref="LlamaForCausalLM"/>) adds its modules.
/// </summary>
/// <remarks>
/// Several threads may use one decoder: each call of a method here waits until no other thread is inside. <see cref="ExclusiveUse.UseExclusively"/> keeps it over several calls, such as a step of a
/// training loop of your own.
/// </remarks>
public abstract partial class CausalLM : Module<Tensor, Tensor>
{
    /// <summary>Bytes of tensors in one file, from which on several are written; transformers' own limit.</summary>
    public const long DefaultMaxShardBytes = 50_000_000_000;

    private HashSet<string> ownNames = [];

    private protected CausalLM(string name) : base(name)
    {
    }

    /// <summary>The architecture as it is now; a family's class has it as its own type, <see cref="CausalLM{TModel, TConfig}.Config"/>.</summary>
    // Of another name than that, because Module.to of TorchSharp takes no two properties of one name, not even an override of another type.
    public abstract CausalLMConfig CommonConfig { get; }

    /// <summary>What the model was loaded from: an id of the hub, a folder or a GGUF file; null where it was made. Adapters that are saved name an id as their base (<c>base_model_name_or_path</c>).</summary>
    public string? NameOrPath { get; internal set; }

    /// <summary>The token embedding.</summary>
    private protected abstract TokenEmbedding Embedding { get; }

    /// <summary>The output layer: a <see cref="TiedLinear"/> where it is the embedding matrix.</summary>
    private protected abstract Module<Tensor, Tensor> Output { get; }

    /// <summary>Tokens to the hidden states (batch, tokens, hidden_size) that the output layer reads.</summary>
    private protected abstract Tensor Hidden(DecoderInput input);

    /// <summary>Runs the output layer on hidden states (…, hidden_size): by a call in the annotated class, so that adapters of the layer act.</summary>
    private protected abstract Tensor Project(Tensor hidden);

    /// <summary>The weight by which <see cref="Logits"/> multiplies, where it does nothing else; null otherwise.</summary>
    private LinearWeight? OutputWeight => CommonConfig.LogitScaling == LogitScaling.None && Output is ILinearLayer layer && Output.get_parameter("bias") is null ? layer.Weight : null;

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
        using var pass = cache is null ? default : DecodingPass.Enter();
        var hidden = cache is not null && CommonConfig.Rope.DependsOnLength ? HiddenOfGrowing(input_ids, attention_mask, cache) : Hidden(new(input_ids, attention_mask, cache));
        if (last_only) hidden = hidden.narrow(1, hidden.size(1) - 1, 1);
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
        var hidden = Hidden(new(input_ids, attention_mask));
        // The last token predicts nothing: it is cut off before the output layer, not after.
        var last = hidden.size(1) - 1;
        return OutputLoss(hidden.narrow(1, 0, last).reshape(-1, hidden.size(2)), labels.narrow(1, 1, last).reshape(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross-entropy in nats over the positions that a batch of a <see cref="Trainer{TBatch}"/> marks; logits are computed for these alone, and packed examples do not see each other. A float32 scalar.</summary>
    /// <param name="batch">Sequences and what is learned of them, on any device.</param>
    /// <exception cref="NoLossItemsException">No token of the batch counts.</exception>
    public Tensor loss(TokenBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using var entry = ModelGuard.Of(this).Enter();
        using var scope = NewDisposeScope();
        var device = Embedding.Rows.Device;
        var hidden = Hidden(new(batch.InputIds.to(device), ExampleStarts: batch.ExampleStarts?.to(device)));
        return OutputLoss(hidden.view(-1, hidden.size(2)).index_select(0, batch.LossPositions.to(device)), batch.Targets.to(device)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Writes the model as a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index. All files change together.
    /// Adapters are not written, nor what they train of the base: merge them first, or save them on their own.
    /// </summary>
    /// <param name="folder">The folder; made where it does not exist.</param>
    /// <param name="dtype">dtype of the tensors in the file; the parameters' own where null.</param>
    /// <param name="tokenizer">The tokenizer to write beside it: its files are copied, or made where it comes from a GGUF file. None where null.</param>
    /// <param name="maxShardBytes">Bytes of tensors in one file, from which on several are written.</param>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public void SavePretrained(string folder, ScalarType? dtype = null, PretrainedTokenizer? tokenizer = null, long maxShardBytes = DefaultMaxShardBytes)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        using var entry = ModelGuard.Of(this).EnterToSave();
        SourceFiles.Check(this);
        using var withoutActive = AdaptedModel.WithoutActive(this);
        HuggingFaceFolderWriter.Save(folder, CheckpointTensors(), CommonConfig, dtype, tokenizer?.Definition, maxShardBytes);
    }

    /// <summary>Writes the model as a GGUF file for llama.cpp, Ollama and LLamaSharp. Matrices that are kept as blocks are written as they are, byte for byte, whatever <paramref name="type"/> says. Adapters are not written, nor what they train of the base: merge them first, or save them on their own.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">How matrices are stored: F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0 or MXFP4. Vectors are always F32, and matrices whose rows are no multiple of 32 elements F16 instead of a quantised type.</param>
    /// <param name="tokenizer">The tokenizer to put into the file; none where null, then llama.cpp cannot run it as it stands.</param>
    /// <param name="metadata">Further metadata to carry over, e.g. that of the GGUF file that the model comes from. What follows from the model itself is written anew.</param>
    /// <exception cref="ExportException">A weight is beyond what F16 can hold, or GGUF has no name for the tokenizer's pre-tokenizer.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public void SaveGguf(string path, GgufTensorType type = GgufTensorType.F16, PretrainedTokenizer? tokenizer = null, GgufMetadata? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var entry = ModelGuard.Of(this).EnterToSave();
        SourceFiles.Check(this);
        using var withoutActive = AdaptedModel.WithoutActive(this);
        GgufModelWriter.Save(path, CommonConfig, CheckpointTensors(), type, tokenizer?.Definition, metadata);
    }

    /// <summary>What the weights of norms start with: 1, or 0 where the norm adds 1 itself.</summary>
    private protected virtual double NormStart => 1;

    /// <summary>Called at the end of a family's constructor, once its modules are registered: what is there now is the model's own, what comes later is an adapter's.</summary>
    /// <param name="initialize">Whether the weights get fresh values: normal with <see cref="CausalLMConfig.InitializerRange"/>, biases 0, norms <see cref="NormStart"/>. Otherwise a checkpoint fills them.</param>
    private protected void Complete(bool initialize)
    {
        ownNames = named_parameters().Select(p => p.name).Concat(CheckpointReader.TiedWeights(this)).ToHashSet(StringComparer.Ordinal);
        checkpointVocabSize = CommonConfig.VocabSize;
        if (!initialize) return;
        using var noGrad = no_grad();
        foreach (var (name, parameter) in named_parameters())
        {
            if (name.EndsWith(".bias", StringComparison.Ordinal)) init.zeros_(parameter);
            else if (parameter.dim() == 1) parameter.fill_(Scalars.Of(NormStart));
            else init.normal_(parameter, 0, CommonConfig.InitializerRange);
        }
    }

    /// <summary>Hidden states (…, hidden_size) to logits (…, vocab_size).</summary>
    private Tensor Logits(Tensor hidden) => CommonConfig.LogitScaling.Apply(Project(hidden));

    /// <summary>The loss of hidden states (rows, hidden_size). Where the output layer is trained, fully or by an adapter, its gradient needs all logits at once.</summary>
    private Tensor OutputLoss(Tensor hidden, Tensor targets) => DispatchTable.Find(Output) is not null || Output is ILinearLayer { Weight.IsFrozen: false } || Output.parameters().Any(parameter => parameter.requires_grad)
        ? CrossEntropyCall.Run(Logits(hidden), targets)
        : OutputLossCall.Run(hidden, Logits, OutputWeight, targets, CommonConfig.VocabSize);

    /// <summary>The base's tensors by their names in a checkpoint; those of adapters, which belong to their own files, are left out.</summary>
    private Dictionary<string, ModelTensor> CheckpointTensors()
    {
        var tensors = named_parameters().Where(p => ownNames.Contains(p.name)).ToDictionary(p => p.name, p => ModelTensor.Of(p.parameter), StringComparer.Ordinal);
        foreach (var (name, module) in named_modules())
        {
            if (module is EncodableModule { IsFloatingPoint: false } encoded) tensors.Add($"{name}.{BaseWeight.Name}", ModelTensor.Of(encoded, AdaptedModel.MergedWeightOf(this, module)));
        }

        return tensors;
    }

    /// <summary>
    /// Hidden states of new tokens where the angles of all tokens change with the length of their sequence: then what the cache holds of the earlier ones is of no use, and all are computed again.
    /// </summary>
    private Tensor HiddenOfGrowing(Tensor ids, Tensor? attentionMask, KeyValueCache cache)
    {
        var all = cache.Ids is { } before ? cat([before, ids], 1) : ids;
        var changes = cache.Length > 0 && !LengthKeys(cache.Length).SequenceEqual(LengthKeys(all.size(1)));
        if (changes) cache.Restart();
        var hidden = Hidden(new(changes ? all : ids, attentionMask, cache));
        cache.Remember(all);
        return hidden.narrow(1, hidden.size(1) - ids.size(1), ids.size(1));

        IEnumerable<long> LengthKeys(long tokens)
        {
            var lengths = attentionMask is null ? [tokens] : attentionMask.narrow(1, 0, tokens).to(ScalarType.Bool).sum(1, type: int64).cpu().data<long>().ToArray();
            return lengths.Select(CommonConfig.Rope.LengthKey);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // A finalizer must not wait; and what it finds is used by no thread.
        using var entry = disposing ? ModelGuard.Of(this).Enter() : default;
        base.Dispose(disposing);
    }
}
