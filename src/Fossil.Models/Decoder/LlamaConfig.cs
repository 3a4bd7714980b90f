namespace Fossil.Models;

/// <summary>How rotary positions are stretched beyond the length that a model was first trained on (Hugging Face: <c>rope_parameters</c>, formerly <c>rope_scaling</c>).</summary>
public enum RopeType
{
    /// <summary>Positions as they are.</summary>
    Default,

    /// <summary>Every frequency divided by the factor.</summary>
    Linear,

    /// <summary>Llama 3.1: low frequencies divided by the factor, high ones kept, a smooth transition between.</summary>
    Llama3,
}

/// <summary>Rotary position embedding of a decoder.</summary>
public sealed record RopeParameters
{
    /// <summary>Base of the geometric series of frequencies.</summary>
    public double Theta { get; init; } = 10_000;

    /// <summary>How positions are stretched.</summary>
    public RopeType Type { get; init; } = RopeType.Default;

    /// <summary>How much longer the context became (linear, llama3).</summary>
    public double Factor { get; init; } = 1;

    /// <summary>llama3: wavelengths above original length / this are divided by the factor.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>llama3: wavelengths below original length / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>llama3: the context length before stretching.</summary>
    public int OriginalMaxPositionEmbeddings { get; init; } = 8192;
}

/// <summary>
/// One configuration for the whole Llama family: Llama 2 and 3, SmolLM2, Mistral, Qwen2, Qwen3. The properties have the meaning of Hugging Face's
/// <c>config.json</c>; what differs between the architectures is spelled out (biases, query and key norms, window), so that the decoder never asks for a name.
/// </summary>
public sealed partial record LlamaConfig
{
    /// <summary>Hugging Face's <c>model_type</c>: llama, mistral, qwen2 or qwen3. It only matters for what is written to a file.</summary>
    public string ModelType { get; init; } = "llama";

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

    /// <summary>Whether q, k and v have biases (Qwen2; Llama with <c>attention_bias</c>).</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether the attention's output projection has a bias (Llama and Qwen3 with <c>attention_bias</c>).</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the feed-forward projections have biases (Llama with <c>mlp_bias</c>).</summary>
    public bool MlpBias { get; init; }

    /// <summary>Whether the query and key of each head are normalised before the rotation (Qwen3).</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>How many positions, its own included, a token sees in a layer with a sliding window; null where it sees all.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>The layers that have the sliding window; null: all, if there is a window.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

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

    /// <summary>The window of layer <paramref name="layer"/>; null where its tokens see all before them.</summary>
    public int? WindowOf(int layer) => SlidingLayers is null || SlidingLayers[layer] ? SlidingWindow : null;
}
