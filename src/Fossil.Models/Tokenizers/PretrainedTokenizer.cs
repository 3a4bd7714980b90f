using System.Text;
using Fossil.Models.Gguf;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// The tokenizer of a pre-trained model: byte-pair encoding with added tokens, byte-level as Llama 3, SmolLM2, Qwen and newer Mistral models have it, or
/// SentencePiece's with byte fallback, as Llama 2 and older Mistral models do. The merging itself is Microsoft.ML.Tokenizers'.
/// </summary>
/// <remarks>Methods may be called from several threads at once.</remarks>
public sealed class PretrainedTokenizer
{
    private readonly ITextEncoder encoder;
    private readonly AddedTokenFinder anyAdded;
    private readonly AddedTokenFinder addedText;
    private readonly Dictionary<int, byte[]> bytes;
    private readonly HashSet<int> special;

    internal PretrainedTokenizer(TokenizerDefinition definition)
    {
        Definition = definition;
        anyAdded = new AddedTokenFinder(definition.AddedTokens);
        addedText = new AddedTokenFinder(definition.AddedTokens.Where(token => !token.Special));
        special = [.. definition.AddedTokens.Where(token => token.Special).Select(token => token.Id)];
        encoder = definition.SentencePiece is { } rules ? new SentencePieceEncoder(definition, rules) : new ByteLevelEncoder(definition);
        bytes = new Dictionary<int, byte[]>(encoder.Bytes);

        // Gemma's runs of spaces are added tokens.
        foreach (var token in definition.AddedTokens) bytes[token.Id] = Encoding.UTF8.GetBytes(definition.SentencePiece is null ? token.Content : token.Content.Replace(SentencePieceRules.Space, ' '));
    }

    /// <summary>One more than the largest id.</summary>
    public int VocabSize => bytes.Keys.Max() + 1;

    /// <summary>Id of the token that begins a text; null where the model has none.</summary>
    public int? BosTokenId => Definition.BosTokenId;

    /// <summary>Id of the token that ends a text; null where the model has none.</summary>
    public int? EosTokenId => Definition.EosTokenId;

    /// <summary>Id of the token that fills a batch up; null where the model has none.</summary>
    public int? PadTokenId => Definition.PadTokenId;

    /// <summary>Id of the token for what has none; null where the model has none, as byte-level vocabularies need none.</summary>
    public int? UnkTokenId => Definition.UnkTokenId;

    /// <summary>The chat template that is used where none is named, in Jinja; null where the model has none.</summary>
    public string? ChatTemplate => Definition.ChatTemplate;

    /// <summary>All chat templates, in Jinja, by name: "default", and others such as "tool_use" and "rag".</summary>
    public IReadOnlyDictionary<string, string> ChatTemplates => Definition.ChatTemplates;

    /// <summary>The texts of the tokens that have a role, by its name in <c>tokenizer_config.json</c>: <c>bos_token</c>, <c>eos_token</c>, …, those only that the model has. Chat templates use them.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens => Definition.SpecialTokens;

    /// <summary>The tokens that are found in the text before it is split into words.</summary>
    public IReadOnlyList<AddedToken> AddedTokens => Definition.AddedTokens;

    internal TokenizerDefinition Definition { get; }

    /// <summary>Whether decoding takes one space off the start of a text, which encoding put there (SentencePiece).</summary>
    internal bool StripsLeadingSpace => Definition.SentencePiece?.StripsLeadingSpace == true;

    /// <summary>Loads the tokenizer of a Hugging Face folder: <c>tokenizer.json</c>, or SentencePiece's <c>tokenizer.model</c>, and <c>tokenizer_config.json</c> where it is there.</summary>
    /// <exception cref="TokenizerException">A file is missing, malformed, or of another kind of tokenizer.</exception>
    public static PretrainedTokenizer FromPretrained(string folder) => new(HuggingFaceTokenizer.Read(folder));

    /// <summary>Loads the vocabulary in a GGUF file.</summary>
    /// <exception cref="GgufException">The file is malformed.</exception>
    /// <exception cref="TokenizerException">There is no vocabulary, it is malformed, or of another kind of tokenizer.</exception>
    public static PretrainedTokenizer FromGguf(string path)
    {
        using var file = GgufFile.Open(path);
        return FromGguf(file);
    }

    /// <summary>Loads the vocabulary in an open GGUF file.</summary>
    /// <exception cref="TokenizerException">There is no vocabulary, it is malformed, or of another kind of tokenizer.</exception>
    public static PretrainedTokenizer FromGguf(GgufFile file) => new(GgufTokenizer.Read(file.Metadata));

    /// <summary>The ids of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether to put before and after the text what the model expects there (Llama 3: the BOS token).</param>
    /// <param name="parseSpecialTokens">
    /// Whether markers in the text, such as <c>&lt;|im_end|&gt;</c>, are the tokens of that name. Pass false for text from users, who could end their own turn otherwise.
    /// </param>
    public int[] Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        if (addSpecialTokens) ids.AddRange(Definition.Prefix);
        EncodePart(text, PartStart.Text, parseSpecialTokens, ids);
        if (addSpecialTokens) ids.AddRange(Definition.Suffix);
        return [.. ids];
    }

    /// <summary>The text of ids. Bytes that are no UTF-8 become U+FFFD; ids without a token, which padded vocabularies have, nothing.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="skipSpecialTokens">Whether to leave markers out.</param>
    public string Decode(IEnumerable<int> ids, bool skipSpecialTokens = false)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var decoder = new StreamingDecoder(this, skipSpecialTokens);
        var text = new StringBuilder();
        foreach (var id in ids) text.Append(decoder.Append(id));
        return text.Append(decoder.Finish()).ToString();
    }

    /// <summary>The UTF-8 bytes of one token, which need not be whole characters; none for an id without a token.</summary>
    public ReadOnlyMemory<byte> BytesOf(int id, bool skipSpecialTokens = false) =>
        skipSpecialTokens && special.Contains(id) ? ReadOnlyMemory<byte>.Empty : bytes.GetValueOrDefault(id);

    /// <summary>Whether the token is a marker rather than text.</summary>
    public bool IsSpecial(int id) => special.Contains(id);

    /// <summary>The id of an added token; null where there is none of that text.</summary>
    public int? IdOf(string addedToken) => Definition.AddedTokens.FirstOrDefault(token => token.Content == addedToken)?.Id;

    /// <summary>Cuts a text into added tokens, of those that <paramref name="accepts"/> takes at their place, and what is between them.</summary>
    internal IEnumerable<TextSpan> FindAddedTokens(string text, Func<AddedToken, int, bool> accepts) => anyAdded.Spans(text, accepts);

    /// <summary>Appends the ids of a text that may stand behind something else.</summary>
    internal void EncodePart(string text, PartStart start, bool parseSpecialTokens, List<int> ids)
    {
        foreach (var (token, from, end) in (parseSpecialTokens ? anyAdded : addedText).Spans(text))
        {
            if (token is not null) ids.Add(token.Id);
            else encoder.Encode(text[from..end], start, ids);
            start = PartStart.AddedToken;
        }
    }

    /// <summary>Appends the ids of a text without added tokens.</summary>
    internal void EncodeText(string text, PartStart start, List<int> ids) => encoder.Encode(text, start, ids);
}

/// <summary>Turns ids that come one by one into text that never ends inside a character; together it is what <see cref="PretrainedTokenizer.Decode"/> gives.</summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="skipSpecialTokens">Whether to leave markers out.</param>
public sealed class StreamingDecoder(PretrainedTokenizer tokenizer, bool skipSpecialTokens = true)
{
    // Keeps the bytes of a character that is not complete yet.
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private bool hasBegun;

    /// <summary>The characters that <paramref name="id"/> completes; empty where it ends inside the first of them.</summary>
    public string Append(int id)
    {
        var bytes = tokenizer.BytesOf(id, skipSpecialTokens).Span;
        if (bytes.IsEmpty) return string.Empty;
        if (!hasBegun && tokenizer.StripsLeadingSpace && bytes[0] == ' ') bytes = bytes[1..];
        hasBegun = true;
        return Decode(bytes, flush: false);
    }

    /// <summary>What is left at the end: U+FFFD where the ids ended inside a character, otherwise nothing.</summary>
    public string Finish() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        return new string(characters, 0, decoder.GetChars(bytes, characters, flush));
    }
}
