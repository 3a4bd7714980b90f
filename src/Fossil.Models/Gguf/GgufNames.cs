using System.Globalization;

namespace Fossil.Models.Gguf;

/// <summary>The names of a decoder's tensors in GGUF (<c>blk.3.attn_q.weight</c>) and in Hugging Face's checkpoints (<c>model.layers.3.self_attn.q_proj.weight</c>).</summary>
internal sealed class GgufNames
{
    private const string GgufBlock = "blk.";
    private const string Layers = "model.layers.";
    private const string Number = "*";

    private readonly (string Gguf, string HuggingFace)[] whole;
    private readonly (string Gguf, string HuggingFace)[] inLayer;

    private GgufNames((string, string)[] whole, (string, string)[] inLayer) => (this.whole, this.inLayer) = (whole, inLayer);

    /// <summary>The names that most decoders have.</summary>
    public static GgufNames Decoder { get; } = new(
        [
            ("token_embd", "model.embed_tokens"),
            ("output_norm", "model.norm"),
            ("output", "lm_head"),
        ],
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
        ]);

    /// <summary>These names, but for some modules of a layer: one that stands here under either of its names has another counterpart.</summary>
    public GgufNames With(params (string Gguf, string HuggingFace)[] modules) =>
        new(whole, [.. inLayer.Where(row => !modules.Any(module => module.Gguf == row.Gguf || module.HuggingFace == row.HuggingFace)), .. modules]);

    /// <summary>Whether one of Hugging Face's names stands for many tensors, which GGUF stacks: a <c>*</c> in it is their numbers.</summary>
    public static bool IsStacked(string name) => name.Contains(Number, StringComparison.Ordinal);

    /// <summary>The name of one of many tensors.</summary>
    public static string OfStacked(string name, int index) => name.Replace(Number, index.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    /// <summary>The number in the name of one of many tensors.</summary>
    public static int NumberOf(string name) => int.TryParse(name.Split('.').LastOrDefault(IsNumber), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>Hugging Face's name of a GGUF tensor; null where it has none.</summary>
    public string? ToHuggingFace(string name) => Translate(name, GgufBlock, Layers, whole, inLayer);

    /// <summary>The GGUF name of one of Hugging Face's tensors (or modules, without <c>.weight</c>); null where it has none.</summary>
    public string? ToGguf(string name) => Translate(name, Layers, GgufBlock, Swap(whole), Swap(inLayer));

    private static string? Translate(string name, string blockFrom, string blockTo, (string, string)[] whole, (string, string)[] inLayer)
    {
        var suffix = name.EndsWith(".weight", StringComparison.Ordinal) ? ".weight" : name.EndsWith(".bias", StringComparison.Ordinal) ? ".bias" : string.Empty;
        var module = name[..^suffix.Length];
        if (!module.StartsWith(blockFrom, StringComparison.Ordinal)) return Find(module, whole) is { } translated ? translated + suffix : null;
        var rest = module[blockFrom.Length..];
        var dot = rest.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && IsNumber(rest[..dot]) && (Find(rest[(dot + 1)..], inLayer) ?? Find(WithoutNumbers(rest[(dot + 1)..]), inLayer)) is { } inside
            ? $"{blockTo}{rest[..dot]}.{inside}{suffix}"
            : null;
    }

    private static string WithoutNumbers(string name) => string.Join('.', name.Split('.').Select(part => IsNumber(part) ? Number : part));

    private static bool IsNumber(string text) => text.Length > 0 && text.AsSpan().IndexOfAnyExceptInRange('0', '9') < 0;

    private static string? Find(string name, (string From, string To)[] table) => Array.Find(table, row => row.From == name).To;

    private static (string, string)[] Swap((string, string)[] table) => [.. table.Select(row => (row.Item2, row.Item1))];
}
