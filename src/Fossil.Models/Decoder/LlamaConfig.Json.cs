using System.Text.Json.Nodes;
using Fossil.Serialization;

namespace Fossil.Models;

// Hugging Face's config.json, read and written.
public sealed partial record LlamaConfig
{
    /// <summary>Name of the file in a model folder.</summary>
    public const string FileName = "config.json";

    /// <summary>Reads <c>config.json</c>, with rotary settings in the new form (<c>rope_parameters</c>) or the old one (<c>rope_theta</c>, <c>rope_scaling</c>).</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">The file is missing, is not such a configuration, or asks for something that this decoder does not do.</exception>
    public static LlamaConfig Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            using var document = JsonFile.Read(path, (problem, inner) => new CheckpointException($"{path} {problem}", inner));
            return new ConfigReader(path, document.RootElement).ReadModel();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Writes <c>config.json</c> as Hugging Face's transformers reads it.</summary>
    /// <param name="path">The file; replaced atomically.</param>
    /// <param name="dtype">dtype of the checkpoint's tensors, by its PyTorch name.</param>
    public void Save(string path, string dtype = "float32") => AtomicFile.Write(path, stream => JsonFile.Write(stream, ToJson(dtype)));

    /// <summary>The content of <c>config.json</c>.</summary>
    public JsonObject ToJson(string dtype = "float32")
    {
        var rope = new JsonObject { ["rope_theta"] = Rope.Theta, ["rope_type"] = ConfigReader.NameOf(Rope.Type) };
        if (Rope.Type != RopeType.Default) rope["factor"] = Rope.Factor;
        if (Rope.Type == RopeType.Llama3)
        {
            rope["low_freq_factor"] = Rope.LowFrequencyFactor;
            rope["high_freq_factor"] = Rope.HighFrequencyFactor;
            rope["original_max_position_embeddings"] = Rope.OriginalMaxPositionEmbeddings;
        }
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(ConfigReader.ArchitectureOf(ModelType)),
            ["attention_bias"] = OutputBias,
            ["bos_token_id"] = BosTokenId,
            ["dtype"] = dtype,
            ["eos_token_id"] = EosTokenIds.Count switch { 0 => null, 1 => EosTokenIds[0], _ => new JsonArray([.. EosTokenIds.Select(id => (JsonNode)id)]) },
            ["head_dim"] = HeadDim,
            ["hidden_act"] = "silu",
            ["hidden_size"] = HiddenSize,
            ["initializer_range"] = InitializerRange,
            ["intermediate_size"] = IntermediateSize,
            ["max_position_embeddings"] = MaxPositionEmbeddings,
            ["mlp_bias"] = MlpBias,
            ["model_type"] = ModelType,
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_hidden_layers"] = NumHiddenLayers,
            ["num_key_value_heads"] = NumKeyValueHeads,
            ["pad_token_id"] = PadTokenId,
            ["rms_norm_eps"] = RmsNormEps,
            ["rope_parameters"] = rope,
            ["sliding_window"] = SlidingWindow,
            ["tie_word_embeddings"] = TieWordEmbeddings,
            ["vocab_size"] = VocabSize,
        };
        if (ModelType is "qwen2" or "qwen3")
        {
            json["use_sliding_window"] = SlidingWindow is not null;
            json["layer_types"] = new JsonArray([.. Enumerable.Range(0, NumHiddenLayers).Select(i => (JsonNode)(WindowOf(i) is null ? "full_attention" : "sliding_attention"))]);
        }
        return json;
    }
}
