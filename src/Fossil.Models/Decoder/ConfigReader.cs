using System.Text.Json;

namespace Fossil.Models;

/// <summary>Reads the fields of a <c>config.json</c>; what is missing, of the wrong kind or not supported is an error that names file and field.</summary>
internal sealed class ConfigReader(string path, JsonElement root)
{
    private static readonly Dictionary<string, string> Architectures = new()
    {
        ["llama"] = "LlamaForCausalLM",
        ["mistral"] = "MistralForCausalLM",
        ["qwen2"] = "Qwen2ForCausalLM",
        ["qwen3"] = "Qwen3ForCausalLM",
    };

    public static string ArchitectureOf(string modelType) => Architectures[modelType];

    public static string NameOf(RopeType type) => type switch { RopeType.Linear => "linear", RopeType.Llama3 => "llama3", _ => "default" };

    public LlamaConfig ReadModel()
    {
        if (root.ValueKind != JsonValueKind.Object) throw Error("is not a JSON object");
        var type = Text(root, "model_type") ?? throw Error("has no model_type");
        if (!Architectures.ContainsKey(type)) throw Error($"has model_type \"{type}\"; this decoder does {string.Join(", ", Architectures.Keys)}");
        if (Text(root, "hidden_act") is { } activation && activation != "silu") throw Error($"has hidden_act \"{activation}\"; this decoder does silu");
        if (Number(root, "partial_rotary_factor") is { } part && part != 1) throw Error($"has partial_rotary_factor {part}; this decoder rotates whole heads");

        var heads = Required("num_attention_heads");
        var hidden = Required("hidden_size");
        var layers = Required("num_hidden_layers");
        var keyValueHeads = Integer(root, "num_key_value_heads") ?? heads;
        if (heads % keyValueHeads != 0) throw Error($"has {heads} attention heads, which {keyValueHeads} key and value heads do not divide");
        var headDim = Integer(root, "head_dim") ?? hidden / heads;
        if (headDim == 0 || headDim % 2 != 0) throw Error($"has head_dim {headDim}; rotary positions need an even one");
        var attentionBias = Flag("attention_bias") ?? false;
        var window = type is "qwen2" or "qwen3" && Flag("use_sliding_window") != true ? null : Integer(root, "sliding_window");
        return new LlamaConfig
        {
            ModelType = type,
            VocabSize = Required("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = Required("intermediate_size"),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = keyValueHeads,
            HeadDim = headDim,
            MaxPositionEmbeddings = Integer(root, "max_position_embeddings") ?? 2048,
            RmsNormEps = Number(root, "rms_norm_eps") ?? 1e-6,
            Rope = ReadRope(),
            QueryKeyValueBias = type == "qwen2" || attentionBias,
            OutputBias = type != "qwen2" && attentionBias,
            MlpBias = Flag("mlp_bias") ?? false,
            QueryKeyNorm = type == "qwen3",
            SlidingWindow = type == "llama" ? null : window,
            SlidingLayers = window is null ? null : ReadSlidingLayers(layers),
            TieWordEmbeddings = Flag("tie_word_embeddings") ?? false,
            InitializerRange = Number(root, "initializer_range") ?? 0.02,
            BosTokenId = TokenIds("bos_token_id").Select(id => (int?)id).FirstOrDefault(),
            EosTokenIds = TokenIds("eos_token_id"),
            PadTokenId = TokenIds("pad_token_id").Select(id => (int?)id).FirstOrDefault(),
        };
    }

    private RopeParameters ReadRope()
    {
        var section = Section("rope_parameters") ?? Section("rope_scaling");
        var theta = (section is { } s ? Number(s, "rope_theta") : null) ?? Number(root, "rope_theta") ?? 10_000;
        if (section is not { } rope) return new RopeParameters { Theta = theta };

        var name = Text(rope, "rope_type") ?? Text(rope, "type") ?? "default";
        var type = name switch
        {
            "default" => RopeType.Default,
            "linear" => RopeType.Linear,
            "llama3" => RopeType.Llama3,
            _ => throw Error($"has rope_type \"{name}\"; this decoder does default, linear and llama3"),
        };
        var result = new RopeParameters { Theta = theta, Type = type };
        if (type == RopeType.Default) return result;
        result = result with { Factor = RequiredNumber(rope, "factor") };
        if (type == RopeType.Linear) return result;
        return result with
        {
            LowFrequencyFactor = RequiredNumber(rope, "low_freq_factor"),
            HighFrequencyFactor = RequiredNumber(rope, "high_freq_factor"),
            OriginalMaxPositionEmbeddings = Integer(rope, "original_max_position_embeddings") ?? throw Error("has no original_max_position_embeddings for llama3"),
        };
    }

    /// <summary><c>layer_types</c> or, in older files, the layers from <c>max_window_layers</c> on; null where all layers have the window.</summary>
    private bool[]? ReadSlidingLayers(int layers)
    {
        if (root.TryGetProperty("layer_types", out var types) && types.ValueKind == JsonValueKind.Array)
        {
            if (types.GetArrayLength() != layers) throw Error($"has {types.GetArrayLength()} layer_types for {layers} layers");
            return [.. types.EnumerateArray().Select(t => t.ValueKind == JsonValueKind.String ? t.GetString() == "sliding_attention" : throw Error("has a layer type that is no string"))];
        }
        return Integer(root, "max_window_layers") is { } from ? [.. Enumerable.Range(0, layers).Select(i => i >= from)] : null;
    }

    private int[] TokenIds(string name)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return [];
        var values = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : (IEnumerable<JsonElement>)[value];
        return [.. values.Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out var id) ? id : throw Error($"has {name} {v}, which is no token id"))];
    }

    private JsonElement? Section(string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value.ValueKind == JsonValueKind.Object ? value : throw Error($"has {name} that is no object")
            : null;

    private int Required(string name) => Integer(root, name) ?? throw Error($"has no {name}");

    private double RequiredNumber(JsonElement section, string name) => Number(section, name) ?? throw Error($"has no {name} in its rotary settings");

    private int? Integer(JsonElement section, string name)
    {
        if (Number(section, name) is not { } value) return null;
        // Every whole number here is a size, so zero and below can be refused in one place.
        return value is >= 1 and <= int.MaxValue && value == Math.Floor(value) ? (int)value : throw Error($"has {name} {value}; it must be a whole number of at least 1");
    }

    private double? Number(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble()) ? value.GetDouble() : throw Error($"has {name} {value}, which is no number");
    }

    private bool? Flag(string name)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Error($"has {name} {value}, which is neither true nor false");
    }

    private string? Text(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Error($"has {name} {value}, which is no string");
    }

    private CheckpointException Error(string problem) => new($"{path} {problem}.");
}
