using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Fossil.Models.Gguf;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// What the configurations of all decoders have in common. The properties have the meaning of Hugging Face's <c>config.json</c>. A family adds its own, and says here how both kinds of file tell them:
/// fields of <c>config.json</c>, metadata, names and order of rows of GGUF.
/// </summary>
public abstract record CausalLMConfig
{
    /// <summary>Name of the file in a model folder.</summary>
    public const string FileName = "config.json";

    private protected CausalLMConfig(string modelType) => ModelType = modelType;

    /// <summary>Reads the common fields of a <c>config.json</c>.</summary>
    [SetsRequiredMembers]
    private protected CausalLMConfig(ModelConfigReader json)
    {
        ModelType = json.ModelType;
        NumAttentionHeads = json.Required("num_attention_heads");
        HiddenSize = json.Required("hidden_size");
        NumHiddenLayers = json.Required("num_hidden_layers");
        NumKeyValueHeads = json.Integer("num_key_value_heads") ?? NumAttentionHeads;
        if (NumAttentionHeads % NumKeyValueHeads != 0) throw json.Error($"has {NumAttentionHeads} attention heads, which {NumKeyValueHeads} key and value heads do not divide");
        HeadDim = json.Integer("head_dim") ?? HiddenSize / NumAttentionHeads;
        if (HeadDim == 0 || HeadDim % 2 != 0) throw json.Error($"has head_dim {HeadDim}; rotary positions need an even one");
        VocabSize = json.Required("vocab_size");
        IntermediateSize = json.Required("intermediate_size");
        MaxPositionEmbeddings = json.Integer("max_position_embeddings") ?? 2048;
        RmsNormEps = json.Number("rms_norm_eps") ?? 1e-6;
        Rope = RopeJson.Read(json);
        if (RotaryDim == 0 || RotaryDim % 2 != 0) throw json.Error($"rotates {RotaryDim} of {HeadDim} dimensions of a head; rotary positions need an even number");
        if (Rope.Type == RopeType.LongRope && (Rope.ShortFactors.Count != RotaryDim / 2 || Rope.LongFactors.Count != RotaryDim / 2)) throw json.Error($"has {Rope.ShortFactors.Count} short and {Rope.LongFactors.Count} long factors for {RotaryDim} rotated dimensions; there must be half as many");
        TieWordEmbeddings = json.Flag("tie_word_embeddings") ?? false;
        InitializerRange = json.Number("initializer_range") ?? 0.02;
        BosTokenId = json.TokenId("bos_token_id", VocabSize);
        EosTokenIds = json.TokenIds("eos_token_id", VocabSize);
        PadTokenId = json.TokenId("pad_token_id", VocabSize);
    }

    /// <summary>Reads the common metadata of a GGUF file. Every size agrees with a tensor of the file, so that a model of it is no larger than the file's data allow.</summary>
    [SetsRequiredMembers]
    private protected CausalLMConfig(GgufConfigReader gguf)
    {
        ModelType = gguf.Architecture;
        VocabSize = (int)Math.Min(gguf.Rows("token_embd.weight"), int.MaxValue);
        HiddenSize = gguf.Agreed("embedding_length", "token_embd.weight", 1);
        NumHiddenLayers = gguf.Layers();
        (NumAttentionHeads, NumKeyValueHeads, HeadDim) = gguf.Heads(HiddenSize);
        IntermediateSize = gguf.FeedForward();
        MaxPositionEmbeddings = gguf.FindCount("context_length") ?? 2048;
        RmsNormEps = gguf.FindNumber("attention.layer_norm_rms_epsilon") ?? 1e-6;
        var rotated = gguf.FindCount("rope.dimension_count") ?? HeadDim;
        if (rotated == 0 || rotated > HeadDim || rotated % 2 != 0) throw gguf.Contradiction($"rotates {rotated} of {HeadDim} dimensions of a head.");
        Rope = GgufRope.Read(gguf, rotated, MaxPositionEmbeddings) with { PartialRotaryFactor = rotated / (double)HeadDim };
        SlidingWindow = gguf.FindCount("attention.sliding_window") is > 0 and var positions ? positions : null;
        TieWordEmbeddings = !gguf.Contains("output.weight");
        BosTokenId = GgufTokenIds.Find(gguf.Metadata, "tokenizer.ggml.bos_token_id", VocabSize);
        EosTokenIds = GgufTokenIds.FindEnds(gguf.Metadata, VocabSize);
        PadTokenId = GgufTokenIds.Find(gguf.Metadata, "tokenizer.ggml.padding_token_id", VocabSize);
        // transformers looks for ids in one file alone.
        Generation = GgufSampling.Read(gguf.Metadata) is { } sampling ? sampling with { BosTokenId = BosTokenId, EosTokenIds = EosTokenIds, PadTokenId = PadTokenId } : null;
    }

    /// <summary>Hugging Face's <c>model_type</c>. It only matters for what is written to a file.</summary>
    public string ModelType { get; init; }

    /// <summary>Number of token ids.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width inside the feed-forward block.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Number of decoder layers.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary>Number of query heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Number of key and value heads; each serves <c>NumAttentionHeads / NumKeyValueHeads</c> query heads.</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>Width of a head; not always <c>HiddenSize / NumAttentionHeads</c>.</summary>
    public required int HeadDim { get; init; }

    /// <summary>The longest sequence that the model was made for.</summary>
    public int MaxPositionEmbeddings { get; init; } = 2048;

    /// <summary>Added to the mean square in each norm.</summary>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <summary>Rotary positions.</summary>
    public RopeParameters Rope { get; init; } = new();

    /// <summary>How many positions, its own included, a token sees in a layer with a sliding window; null where it sees all.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>Whether the output layer is the embedding matrix.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Standard deviation of fresh weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Id of the token that begins a text.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Ids of the tokens that end a text.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Id of the padding token.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>What the checkpoint says of generation (<c>generation_config.json</c>, or <c>general.sampling.*</c> of a GGUF file); null where it says nothing.</summary>
    public GenerationConfig? Generation { get; init; }

    /// <summary>Ids at which generation stops: those of <see cref="Generation"/>, or where it names none <see cref="EosTokenIds"/>.</summary>
    public IReadOnlyList<int> StopTokenIds => Generation is { EosTokenIds: { Count: > 0 } ids } ? ids : EosTokenIds;

    /// <summary>How many dimensions of a head are rotated, from the first on.</summary>
    internal int RotaryDim => (int)((HeadDim * Rope.PartialRotaryFactor) + 1e-6);

    /// <summary>Hugging Face's class of this model (<c>architectures</c>).</summary>
    private protected abstract string HuggingFaceClass { get; }

    /// <summary>The architecture's name in GGUF.</summary>
    internal virtual string GgufArchitecture => ModelType;

    /// <summary>The tensors' names in GGUF.</summary>
    internal virtual GgufNames GgufNames => GgufNames.Decoder;

    /// <summary>How many heads' rows are interleaved in the GGUF tensor of that name (Hugging Face's), as llama.cpp wants them for some architectures; 0 where they are in order.</summary>
    internal virtual int InterleavedHeads(string name) => 0;

    /// <summary>What is added to the elements of the GGUF tensor of that name (Hugging Face's), as llama.cpp wants it for some norms; 0 where they are the same.</summary>
    internal virtual double GgufAddition(string name) => 0;

    /// <summary>Whether the GGUF matrix of that name (Hugging Face's) is stored as F32 whatever the others are.</summary>
    internal virtual bool IsFloat32InGguf(string name) => false;

    /// <summary>The content of <c>config.json</c>, as Hugging Face's transformers reads it.</summary>
    /// <param name="dtype">dtype of the checkpoint's tensors, by its PyTorch name.</param>
    public virtual JsonObject ToJson(string dtype = "float32")
    {
        var common = new JsonObject
        {
            ["architectures"] = new JsonArray(HuggingFaceClass),
            ["bos_token_id"] = BosTokenId,
            ["dtype"] = dtype,
            ["eos_token_id"] = GenerationConfig.JsonOf(EosTokenIds),
            ["head_dim"] = HeadDim,
            ["hidden_size"] = HiddenSize,
            ["initializer_range"] = InitializerRange,
            ["intermediate_size"] = IntermediateSize,
            ["max_position_embeddings"] = MaxPositionEmbeddings,
            ["model_type"] = ModelType,
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_hidden_layers"] = NumHiddenLayers,
            ["num_key_value_heads"] = NumKeyValueHeads,
            ["pad_token_id"] = PadTokenId,
            ["rms_norm_eps"] = RmsNormEps,
            ["rope_parameters"] = RopeJson.Write(Rope),
            ["sliding_window"] = SlidingWindow,
            ["tie_word_embeddings"] = TieWordEmbeddings,
            ["vocab_size"] = VocabSize,
        };
        foreach (var (name, value) in OwnFields()) common[name] = value;
        return new JsonObject(common.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone())));
    }

    /// <summary>The fields of <c>config.json</c> that the family adds, or states otherwise.</summary>
    private protected abstract IEnumerable<(string Name, JsonNode? Value)> OwnFields();

    /// <summary>The metadata of a GGUF file, without the architecture before each key, in llama.cpp's order.</summary>
    /// <exception cref="Export.ExportException">GGUF cannot say this.</exception>
    internal virtual IEnumerable<(string Key, object Value)> GgufFields()
    {
        yield return ("block_count", (uint)NumHiddenLayers);
        yield return ("context_length", (uint)MaxPositionEmbeddings);
        yield return ("embedding_length", (uint)HiddenSize);
        yield return ("feed_forward_length", (uint)IntermediateSize);
        yield return ("attention.head_count", (uint)NumAttentionHeads);
        yield return ("attention.head_count_kv", (uint)NumKeyValueHeads);
        if (StatesHeadDim)
        {
            yield return ("attention.key_length", (uint)HeadDim);
            yield return ("attention.value_length", (uint)HeadDim);
        }

        yield return ("rope.freq_base", (float)Rope.Theta);
        yield return ("attention.layer_norm_rms_epsilon", (float)RmsNormEps);
        yield return ("vocab_size", (uint)VocabSize);
        yield return ("rope.dimension_count", (uint)RotaryDim);
        if (SlidingWindow is { } window) yield return ("attention.sliding_window", (uint)window);
        foreach (var field in GgufRope.Fields(Rope)) yield return field;
    }

    /// <summary>Whether llama.cpp heeds the sliding window of this architecture; of others it reads the key, and lets each token see all before it.</summary>
    internal virtual bool HasWindowInLlamaCpp => false;

    /// <summary>Whether a GGUF file states the width of a head.</summary>
    private protected virtual bool StatesHeadDim => HeadDim * NumAttentionHeads != HiddenSize;

    /// <summary>Reads a <c>config.json</c> of one family.</summary>
    private protected static TConfig Load<TModel, TConfig>(string path) where TModel : CausalLM where TConfig : CausalLMConfig
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return (TConfig)CausalLMFamily.Read(ModelConfigReader.Open(path), [AutoModelForCausalLM.FamilyOf<TModel>()]);
    }

    /// <summary>Writes <c>config.json</c> as Hugging Face's transformers reads it.</summary>
    /// <param name="path">The file; replaced atomically.</param>
    /// <param name="dtype">dtype of the checkpoint's tensors, by its PyTorch name.</param>
    public void Save(string path, string dtype = "float32") => AtomicFile.Write(path, stream => JsonFile.Write(stream, ToJson(dtype)));

    /// <summary>What the logits are of the output layer's product; the loss follows it.</summary>
    internal virtual LogitScaling LogitScaling => LogitScaling.None;

    /// <summary>A decoder of this configuration whose weights have no values yet.</summary>
    internal abstract CausalLM Allocate(ScalarType dtype, Device? device);

    internal CausalLMConfig WithEmbeddings(bool isTied, int vocabSize) => this with { TieWordEmbeddings = isTied, VocabSize = vocabSize };
}
