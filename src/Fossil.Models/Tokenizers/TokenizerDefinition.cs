using System.Text.Json.Nodes;

namespace Fossil.Models.Tokenizers;

/// <summary>All that a byte-pair encoding consists of, whatever file it comes from; so that one file can be turned into another.</summary>
internal sealed record TokenizerDefinition
{
    /// <summary>The file, for messages.</summary>
    public required string Path { get; init; }

    /// <summary>The Hugging Face folder that it comes from; null where it comes from elsewhere.</summary>
    public string? SourceFolder { get; init; }

    /// <summary>The tokens that merges make, with their ids; spelled in <see cref="ByteLevelAlphabet"/>, or as <see cref="SentencePiece"/> says.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>The merges, "left right", in the order of their rank.</summary>
    public required IReadOnlyList<string> Merges { get; init; }

    /// <summary>The tokens that are found before the text is split.</summary>
    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Whether a word that is a token is taken as one, even where merges would not make it (Llama 3).</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Whether text is first brought into normalisation form C (Qwen).</summary>
    public bool NormalizeC { get; init; }

    /// <summary>How text is cut into words, in the form of <c>tokenizer.json</c>; null where the vocabulary is SentencePiece's.</summary>
    public JsonNode? PreTokenizer { get; init; }

    /// <summary>How the vocabulary is used if it is SentencePiece's; null where it is byte-level.</summary>
    public SentencePieceRules? SentencePiece { get; init; }

    /// <summary>SentencePiece's scores of the tokens by their ids; null where merges are all that is known.</summary>
    public IReadOnlyDictionary<int, float>? Scores { get; init; }

    /// <summary>Ids that are put before each text.</summary>
    public IReadOnlyList<int> Prefix { get; init; } = [];

    /// <summary>Ids that are put after each text.</summary>
    public IReadOnlyList<int> Suffix { get; init; } = [];

    /// <summary>Id of the token that begins a text.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Id of the token that ends a text.</summary>
    public int? EosTokenId { get; init; }

    /// <summary>Id of the token that fills a batch up.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>Id of the token for what has none.</summary>
    public int? UnkTokenId { get; init; }

    /// <summary>The texts of the tokens that have a role, by the role's name in <c>tokenizer_config.json</c>.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; init; } = new Dictionary<string, string>();

    /// <summary>The chat templates, in Jinja, by name.</summary>
    public IReadOnlyDictionary<string, string> ChatTemplates { get; init; } = new Dictionary<string, string>();

    /// <summary>The chat template that is used where none is named.</summary>
    public string? ChatTemplate => ChatTemplates.GetValueOrDefault(ChatTemplateFiles.Default);

    /// <summary>The text of an id; null where it has none.</summary>
    public string? TextOf(int? id) =>
        id is null ? null : AddedTokens.FirstOrDefault(token => token.Id == id)?.Content ?? Vocabulary.FirstOrDefault(token => token.Value == id).Key;
}

/// <summary>The pre-tokenizers that GGUF files know by a name.</summary>
/// <param name="Name">The name in GGUF's <c>tokenizer.ggml.pre</c>.</param>
/// <param name="Json">The same in the form of <c>tokenizer.json</c>.</param>
/// <param name="IgnoreMerges">Whether a word that is a token is taken as one.</param>
/// <param name="NormalizeC">Whether text is first brought into normalisation form C.</param>
/// <param name="AddsBos">Whether texts begin with the BOS token unless the file says otherwise.</param>
internal sealed record NamedPreTokenizer(string Name, string Json, bool IgnoreMerges = false, bool NormalizeC = false, bool AddsBos = false)
{
    private static readonly NamedPreTokenizer[] All =
    [
        new("gpt-2", """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"""),
        new("smollm", """{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]}"""),
        new("llama-bpe", Split(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), IgnoreMerges: true, AddsBos: true),
        new("qwen2", Split(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), NormalizeC: true),
        new("tekken", Split(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"), IgnoreMerges: true, AddsBos: true),
    ];

    private static readonly Dictionary<string, string> Synonyms = new(StringComparer.Ordinal)
    {
        ["llama3"] = "llama-bpe",
        ["llama-v3"] = "llama-bpe",
        ["smollm2"] = "smollm",
        ["qwen3"] = "qwen2",
        ["deepseek-r1-qwen"] = "qwen2",
    };

    /// <summary>All names, for messages.</summary>
    public static string Names => string.Join(", ", All.Select(named => named.Name));

    /// <summary>The one of that name; null where it is not known.</summary>
    public static NamedPreTokenizer? Find(string name) => Array.Find(All, named => named.Name == Synonyms.GetValueOrDefault(name, name));

    /// <summary>The one that cuts as the given pre-tokenizer does; null where GGUF has no name for it.</summary>
    public static NamedPreTokenizer? FindSame(PreTokenizer preTokenizer) => Array.Find(All, named =>
    {
        using var document = System.Text.Json.JsonDocument.Parse(named.Json);
        return new PreTokenizer(document.RootElement, named.Name).Signature == preTokenizer.Signature;
    });

    private static string Split(string expression)
    {
        var json = new JsonObject
        {
            ["type"] = "Sequence",
            ["pretokenizers"] = new JsonArray(
                new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = "Isolated", ["invert"] = false },
                new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false }),
        };
        return json.ToJsonString();
    }
}
