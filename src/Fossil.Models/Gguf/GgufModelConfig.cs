namespace Fossil.Models.Gguf;

/// <summary>Reads a decoder's configuration from a GGUF file's metadata and the shapes of its tensors.</summary>
internal sealed class GgufModelConfig
{
    private static readonly string[] Architectures = ["llama", "qwen2", "qwen3"];

    private readonly GgufFile file;
    private readonly GgufMetadata metadata;
    private readonly string architecture;

    private GgufModelConfig(GgufFile file)
    {
        this.file = file;
        metadata = file.Metadata;
        architecture = metadata.GetString("general.architecture");
        if (metadata.FindString("general.type") is { } type && type != "model") throw Unsupported($"is of type '{type}', not a model. An adapter is loaded on its base model.");
        if (!Architectures.Contains(architecture)) throw Unsupported($"has the architecture '{architecture}'. This decoder does {string.Join(", ", Architectures)} (Llama, SmolLM2 and Mistral are all 'llama').");
        if (metadata.FindCount(Key("expert_count")) > 0) throw Unsupported("is a mixture of experts, which this decoder does not do.");
    }

    /// <summary>The configuration. Every size agrees with a tensor of the file, so that a model of it is no larger than the file's data allow.</summary>
    /// <exception cref="GgufException">The file is no model of the family, is incomplete, or contradicts itself.</exception>
    public static LlamaConfig Read(GgufFile file) => new GgufModelConfig(file).Read();

    private LlamaConfig Read()
    {
        var embedding = file.GetInfo("token_embd.weight").Shape;
        var hidden = Agreed("embedding_length", "token_embd.weight", 1);
        var layers = metadata.GetCount(Key("block_count"));
        for (var layer = 0; layer < layers; layer++) file.GetInfo($"blk.{layer}.attn_q.weight");
        if (layers == 0) throw Contradiction("has no layers.");
        var heads = metadata.GetCount(Key("attention.head_count"));
        var keyValueHeads = metadata.FindCount(Key("attention.head_count_kv")) ?? heads;
        if (heads == 0 || keyValueHeads == 0 || heads % keyValueHeads != 0) throw Contradiction($"has {heads} attention heads, which {keyValueHeads} key and value heads do not divide.");
        var headDim = metadata.FindCount(Key("attention.key_length")) ?? hidden / heads;
        if (headDim == 0 || headDim % 2 != 0) throw Contradiction($"has heads of {headDim} dimensions; rotary positions need an even number.");
        if (metadata.FindCount(Key("attention.value_length")) is { } valueDim && valueDim != headDim) throw Unsupported($"has keys of {headDim} and values of {valueDim} dimensions, which this decoder does not do.");
        if (metadata.FindCount(Key("rope.dimension_count")) is { } rotated && rotated != headDim) throw Unsupported($"rotates {rotated} of {headDim} dimensions; this decoder rotates whole heads.");
        if (Rows("blk.0.attn_q.weight") != (long)heads * headDim) throw Contradiction($"has {heads} heads of {headDim} dimensions, but blk.0.attn_q.weight has {Rows("blk.0.attn_q.weight")} rows.");
        var window = metadata.FindCount(Key("attention.sliding_window")) is > 0 and var positions ? positions : (int?)null;
        return new LlamaConfig
        {
            // Mistral's files are llama's, and differ by the window only.
            ModelType = architecture == "llama" && window is not null ? "mistral" : architecture,
            VocabSize = (int)Math.Min(embedding[0], int.MaxValue),
            HiddenSize = hidden,
            IntermediateSize = Agreed("feed_forward_length", "blk.0.ffn_up.weight", 0),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = keyValueHeads,
            HeadDim = headDim,
            MaxPositionEmbeddings = metadata.FindCount(Key("context_length")) ?? 2048,
            RmsNormEps = metadata.FindNumber(Key("attention.layer_norm_rms_epsilon")) ?? 1e-6,
            Rope = ReadRope(headDim),
            QueryKeyValueBias = file.Contains("blk.0.attn_q.bias"),
            OutputBias = file.Contains("blk.0.attn_output.bias"),
            MlpBias = file.Contains("blk.0.ffn_up.bias"),
            QueryKeyNorm = file.Contains("blk.0.attn_q_norm.weight"),
            SlidingWindow = window,
            TieWordEmbeddings = !file.Contains("output.weight"),
            BosTokenId = metadata.FindCount("tokenizer.ggml.bos_token_id"),
            EosTokenIds = [.. new[] { metadata.FindCount("tokenizer.ggml.eos_token_id"), metadata.FindCount("tokenizer.ggml.eot_token_id") }.OfType<int>().Distinct()],
            PadTokenId = metadata.FindCount("tokenizer.ggml.padding_token_id"),
        };
    }

    private RopeParameters ReadRope(int headDim)
    {
        var theta = metadata.FindNumber(Key("rope.freq_base")) ?? 10_000;
        if (theta <= 0) throw Contradiction($"has a base frequency of {theta}.");
        if (file.Contains(GgufRopeFactors.TensorName)) return GgufRopeFactors.Read(file, theta, headDim);
        var type = metadata.FindString(Key("rope.scaling.type")) ?? "none";
        var factor = metadata.FindNumber(Key("rope.scaling.factor")) ?? metadata.FindNumber(Key("rope.scale_linear")) ?? 1;
        return type switch
        {
            "none" or "linear" when factor is 0 or 1 || type == "none" => new RopeParameters { Theta = theta },
            "linear" => new RopeParameters { Theta = theta, Type = RopeType.Linear, Factor = factor },
            _ => throw Unsupported($"stretches rotary positions by '{type}', which this decoder does not do."),
        };
    }

    private int Agreed(string key, string tensor, int dimension)
    {
        var stated = metadata.GetCount(Key(key));
        var shape = file.GetInfo(tensor).Shape;
        return dimension < shape.Count && shape[dimension] == stated
            ? stated
            : throw Contradiction($"states '{Key(key)}' as {stated}, but {tensor} has shape [{string.Join(", ", shape)}].");
    }

    private long Rows(string tensor) => file.GetInfo(tensor).Shape[0];

    private string Key(string name) => $"{architecture}.{name}";

    private GgufException Unsupported(string problem) => new(GgufError.UnsupportedModel, file.Path, $"the file {problem}");

    private GgufException Contradiction(string problem) => new(GgufError.InvalidValue, file.Path, $"the file {problem} It is damaged.");
}
