using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

namespace Fossil.Models.Export;

/// <summary>A decoder as GGUF: metadata and tensors, in llama.cpp's names and order of rows.</summary>
internal static class GgufModelWriter
{
    private const uint QuantizationVersion = 2;

    /// <summary>The metadata of a model.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="type">How matrices are stored.</param>
    /// <param name="tokenizer">The tokenizer; null to keep that of <paramref name="carried"/>, if there is one.</param>
    /// <param name="carried">Metadata to carry over; null for none.</param>
    public static GgufMetadata Metadata(LlamaConfig config, GgufTensorType type, TokenizerDefinition? tokenizer, GgufMetadata? carried)
    {
        var architecture = Architecture(config);
        var metadata = new GgufMetadata();
        metadata["general.architecture"] = GgufValue.Of(architecture);
        metadata["general.type"] = GgufValue.Of("model");
        foreach (var (key, value) in carried ?? [])
        {
            // Of another architecture, or of a tokenizer that is replaced, nothing is left.
            if (key.StartsWith("general.", StringComparison.Ordinal) || (tokenizer is null && key.StartsWith("tokenizer.", StringComparison.Ordinal)) || IsForeign(key)) metadata.TryAdd(key, value);
        }

        foreach (var (key, value) in OfConfig(config)) metadata[$"{architecture}.{key}"] = GgufValue.Of(value);
        metadata["general.file_type"] = GgufValue.Of(FileType(type));
        if (type.ToTorch() is null) metadata["general.quantization_version"] = GgufValue.Of(QuantizationVersion);
        if (tokenizer is not null) GgufTokenizerWriter.Write(tokenizer, config.VocabSize, metadata);
        AddTokenIds(config, metadata);
        return metadata;
    }

    // Where the tokenizer did not name them.
    private static void AddTokenIds(LlamaConfig config, GgufMetadata metadata)
    {
        void Add(string key, int? id)
        {
            if (id is { } value) metadata.TryAdd(GgufTokenizer.Prefix + key, GgufValue.Of((uint)value));
        }

        Add("bos_token_id", config.BosTokenId);
        Add("eos_token_id", config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : null);
        Add("eot_token_id", config.EosTokenIds.Count > 1 ? config.EosTokenIds[1] : null);
        Add("padding_token_id", config.PadTokenId);
    }

    /// <summary>The architecture's name in GGUF.</summary>
    public static string Architecture(LlamaConfig config) => config.ModelType == "mistral" ? "llama" : config.ModelType;

    /// <summary>One of the model's parameters.</summary>
    public static GgufTensorSource Source(string name, Tensor parameter, LlamaConfig config, GgufTensorType type)
    {
        var gguf = GgufNames.ToGguf(name) ?? throw new ExportException($"GGUF has no name for the parameter '{name}'.");
        var stored = parameter.dim() < 2 ? GgufTensorType.F32
            : parameter.shape[^1] % type.Block().Elements != 0 ? GgufTensorType.F16
            : type;
        return new GgufTensorSource(gguf, stored, parameter.shape, () =>
        {
            using var scope = NewDisposeScope();
            var rows = Interleave(parameter.detach(), GgufNames.InterleavedHeads(name, config));
            if (stored == GgufTensorType.F16 && !HalfHolds(rows)) throw new ExportException($"'{name}' has elements beyond 65504 (or none at all), which F16 cannot hold. Write the model as BF16.");
            return rows.MoveToOuterDisposeScope();
        });
    }

    /// <summary>The tensor by which llama.cpp knows Llama 3.1's stretched positions.</summary>
    public static GgufTensorSource RopeFactors(LlamaConfig config)
    {
        var factors = GgufRopeFactors.Compute(config.Rope, config.HeadDim);
        return new GgufTensorSource(GgufRopeFactors.TensorName, GgufTensorType.F32, [factors.Length], () => tensor(factors));
    }

    /// <summary>Rows in llama.cpp's order: in each head, the two halves of the rotary dimensions are interleaved.</summary>
    /// <param name="rows">A matrix (out, in) or vector (out) in Hugging Face's order.</param>
    /// <param name="heads">The number of heads; 0 for tensors whose rows stay as they are.</param>
    public static Tensor Interleave(Tensor rows, int heads)
    {
        if (heads == 0) return rows.alias();
        using var scope = NewDisposeScope();
        var half = rows.shape[0] / heads / 2;
        return rows.reshape(heads, 2, half, -1).transpose(1, 2).reshape(rows.shape).MoveToOuterDisposeScope();
    }

    private static bool HalfHolds(Tensor rows)
    {
        using var scope = NewDisposeScope();
        return rows.numel() == 0 || rows.abs().max().to(ScalarType.Float32).item<float>() <= (float)Half.MaxValue;
    }

    private static bool IsForeign(string key) => !key.StartsWith("general.", StringComparison.Ordinal) && !key.StartsWith("tokenizer.", StringComparison.Ordinal) && !key.StartsWith(GgufSplit.Prefix, StringComparison.Ordinal) && !IsOfArchitecture(key);

    private static bool IsOfArchitecture(string key) => key.StartsWith("llama.", StringComparison.Ordinal) || key.StartsWith("qwen2.", StringComparison.Ordinal) || key.StartsWith("qwen3.", StringComparison.Ordinal);

    private static uint FileType(GgufTensorType type) => type switch
    {
        GgufTensorType.F32 => 0,
        GgufTensorType.F16 => 1,
        GgufTensorType.Q4_0 => 2,
        GgufTensorType.Q4_1 => 3,
        GgufTensorType.Q8_0 => 7,
        GgufTensorType.Q5_0 => 8,
        GgufTensorType.Q5_1 => 9,
        GgufTensorType.BF16 => 32,
        GgufTensorType.MXFP4 => 38,
        _ => throw new ExportException($"Matrices cannot be stored as {type}, only as {GgufWriter.WrittenTypes}."),
    };

    private static IEnumerable<(string Key, object Value)> OfConfig(LlamaConfig config)
    {
        if (config.SlidingLayers is { } layers && config.SlidingWindow is not null && layers.Contains(false)) throw new ExportException("Some of the model's layers have a sliding window and some have none, which GGUF cannot say for this architecture.");
        yield return ("block_count", (uint)config.NumHiddenLayers);
        yield return ("context_length", (uint)config.MaxPositionEmbeddings);
        yield return ("embedding_length", (uint)config.HiddenSize);
        yield return ("feed_forward_length", (uint)config.IntermediateSize);
        yield return ("attention.head_count", (uint)config.NumAttentionHeads);
        yield return ("attention.head_count_kv", (uint)config.NumKeyValueHeads);
        if (config.HeadDim * config.NumAttentionHeads != config.HiddenSize || config.ModelType == "qwen3")
        {
            yield return ("attention.key_length", (uint)config.HeadDim);
            yield return ("attention.value_length", (uint)config.HeadDim);
        }

        yield return ("rope.freq_base", (float)config.Rope.Theta);
        yield return ("attention.layer_norm_rms_epsilon", (float)config.RmsNormEps);
        yield return ("vocab_size", (uint)config.VocabSize);
        yield return ("rope.dimension_count", (uint)config.HeadDim);
        if (config.SlidingWindow is { } window) yield return ("attention.sliding_window", (uint)window);
        if (config.Rope.Type != RopeType.Linear) yield break;
        yield return ("rope.scaling.type", "linear");
        yield return ("rope.scaling.factor", (float)config.Rope.Factor);
    }
}
