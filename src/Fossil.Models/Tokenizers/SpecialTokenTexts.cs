using System.Text.Json;

namespace Fossil.Models.Tokenizers;

/// <summary>The tokens that have a role in a tokenizer, by the role's name; chat templates know them by it.</summary>
internal static class SpecialTokenTexts
{
    /// <summary>transformers' names of the roles, and GGUF's (<c>tokenizer.ggml.*_token_id</c>; the slip in one is GGUF's).</summary>
    public static readonly IReadOnlyList<(string Name, string GgufName)> Roles =
    [
        ("bos_token", "bos_token_id"), ("eos_token", "eos_token_id"), ("unk_token", "unknown_token_id"), ("sep_token", "seperator_token_id"),
        ("pad_token", "padding_token_id"), ("cls_token", "cls_token_id"), ("mask_token", "mask_token_id"),
    ];

    /// <summary>The older file of the roles' tokens.</summary>
    public const string MapFileName = "special_tokens_map.json";

    /// <summary>The texts of a Hugging Face folder.</summary>
    /// <param name="definition">The tokenizer, whose ids count where the files say nothing.</param>
    /// <param name="config">The content of <c>tokenizer_config.json</c>, where it is there.</param>
    /// <param name="pathOf">Where the folder's files are.</param>
    public static IReadOnlyDictionary<string, string> Read(TokenizerDefinition definition, JsonElement? config, Func<string, string> pathOf)
    {
        var configPath = pathOf(HuggingFaceTokenizer.ConfigFileName);
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        if (config is { } root)
        {
            foreach (var (name, _) in Roles) Add(name, root.Optional(name), configPath);
            foreach (var more in new[] { "extra_special_tokens", "model_specific_special_tokens" })
            {
                if (root.Optional(more) is { ValueKind: JsonValueKind.Object } named) foreach (var token in named.EnumerateObject()) Add(token.Name, token.Value, configPath);
            }
        }

        // Of folders that transformers wrote before it kept all tokens in tokenizer_config.json.
        if (config?.Optional("added_tokens_decoder") is null && File.Exists(pathOf(MapFileName)))
        {
            var path = pathOf(MapFileName);
            using var map = JsonFile.Read(path, (problem, inner) => new TokenizerException(path, $"the file {problem}", inner));
            foreach (var (name, _) in Roles.Where(role => config?.TryGetProperty(role.Name, out _) != true)) Add(name, map.RootElement.Optional(name), path);
        }

        foreach (var (name, id) in new[] { ("bos_token", definition.BosTokenId), ("eos_token", definition.EosTokenId), ("unk_token", definition.UnkTokenId), ("pad_token", definition.PadTokenId) })
        {
            if (config?.TryGetProperty(name, out _) != true && definition.TextOf(id) is { } text) texts.TryAdd(name, text);
        }

        return texts;

        void Add(string name, JsonElement? token, string path)
        {
            if (token is not { } value) return;
            var text = value.ValueKind == JsonValueKind.Object ? value.Text("content", path) : value.AsText(name, path);
            if (text.Length > 0) texts[name] = text;
        }
    }
}
