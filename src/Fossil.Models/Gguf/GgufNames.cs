namespace Fossil.Models.Gguf;

/// <summary>The names of a decoder's tensors in GGUF (<c>blk.3.attn_q.weight</c>) and in Hugging Face's checkpoints (<c>model.layers.3.self_attn.q_proj.weight</c>).</summary>
internal static class GgufNames
{
    private const string GgufBlock = "blk.";
    private const string Layers = "model.layers.";

    private static readonly (string Gguf, string HuggingFace)[] Whole =
    [
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
    ];

    private static readonly (string Gguf, string HuggingFace)[] InLayer =
    [
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];

    /// <summary>Hugging Face's name of a GGUF tensor; null where it has none.</summary>
    public static string? ToHuggingFace(string name) => Translate(name, GgufBlock, Layers, Whole, InLayer);

    /// <summary>The GGUF name of one of Hugging Face's tensors (or modules, without <c>.weight</c>); null where it has none.</summary>
    public static string? ToGguf(string name) => Translate(name, Layers, GgufBlock, Swap(Whole), Swap(InLayer));

    /// <summary>How many heads' rows are interleaved in a GGUF tensor of that name (Hugging Face's); 0 where they are in order.</summary>
    public static int InterleavedHeads(string name, LlamaConfig config)
    {
        if (config.ModelType is not ("llama" or "mistral")) return 0;
        return name.Contains(".self_attn.q_proj", StringComparison.Ordinal) ? config.NumAttentionHeads
            : name.Contains(".self_attn.k_proj", StringComparison.Ordinal) ? config.NumKeyValueHeads
            : 0;
    }

    private static string? Translate(string name, string blockFrom, string blockTo, (string, string)[] whole, (string, string)[] inLayer)
    {
        var suffix = name.EndsWith(".weight", StringComparison.Ordinal) ? ".weight" : name.EndsWith(".bias", StringComparison.Ordinal) ? ".bias" : string.Empty;
        var module = name[..^suffix.Length];
        if (!module.StartsWith(blockFrom, StringComparison.Ordinal)) return Find(module, whole) is { } translated ? translated + suffix : null;
        var rest = module[blockFrom.Length..];
        var dot = rest.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && rest.AsSpan(0, dot).IndexOfAnyExceptInRange('0', '9') < 0 && Find(rest[(dot + 1)..], inLayer) is { } inside
            ? $"{blockTo}{rest[..dot]}.{inside}{suffix}"
            : null;
    }

    private static string? Find(string name, (string From, string To)[] table) => Array.Find(table, row => row.From == name).To;

    private static (string, string)[] Swap((string, string)[] table) => [.. table.Select(row => (row.Item2, row.Item1))];
}
