using System.Globalization;
using Fossil.Models.Tokenizers;

namespace Fossil.Models.Gguf;

/// <summary>The tokens that begin, end and pad a text in a GGUF file's metadata, read and written as llama.cpp does.</summary>
internal static class GgufTokenIds
{
    private const string Eos = GgufTokenizer.Prefix + "eos_token_id";

    // Not of llama.cpp: end tokens for which it has neither a key nor a known text.
    private const string MoreEos = GgufTokenizer.Prefix + "eos_token_ids";

    /// <summary>Keys of end tokens, in the order in which they are used up.</summary>
    private static readonly string[] EndKeys = [Eos, GgufTokenizer.Prefix + "eot_token_id", GgufTokenizer.Prefix + "eom_token_id"];

    // Tokens of these texts end a text in llama.cpp (src/llama-vocab.cpp), whatever the keys and the tokens' types say.
    private static readonly string[] EndTexts =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
        "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ];

    /// <summary>Tokens between files and repositories, which end a text there too: by their keys, else one of each kind by its text.</summary>
    private static readonly (string Key, string[] Texts)[] CodeEnds =
    [
        (GgufTokenizer.Prefix + "fim_pad_token_id", ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
        (GgufTokenizer.Prefix + "fim_rep_token_id", ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
        (GgufTokenizer.Prefix + "fim_sep_token_id", ["<|file_sep|>"]),
    ];

    /// <summary>A token's id; null where the key is not there, or has no id of the vocabulary, such as -1 in its unsigned form.</summary>
    /// <exception cref="GgufException">The value is no whole number.</exception>
    public static int? Find(GgufMetadata metadata, string key, int vocabSize) => metadata.FindInteger(key) is { } id && id >= 0 && id < vocabSize ? (int)id : null;

    /// <summary>The ids that end a text, as in llama.cpp: by their keys, and tokens whose text is a known end.</summary>
    public static IReadOnlyList<int> FindEnds(GgufMetadata metadata, int vocabSize)
    {
        var tokens = metadata.FindStrings(GgufTokenizer.Prefix + "tokens") ?? [];
        var stated = EndKeys.Select(key => Find(metadata, key, vocabSize)).OfType<int>();
        var code = CodeEnds.Select(kind => Find(metadata, kind.Key, vocabSize) ?? Array.FindIndex(tokens, kind.Texts.Contains));
        var known = tokens.Index().Where(token => EndTexts.Contains(token.Item)).Select(token => token.Index);
        var ends = stated.Concat(known).Concat(code).Where(id => id >= 0 && id < vocabSize).Distinct().ToList();

        // Harmony (gpt-oss) and its like have an end of a message that is none of an answer; Gemma 4 has HTML's </s> for a word.
        if (Has("<|call|>", "<|calls|>") && Has("<|return|>", "<|flush|>")) ends.RemoveAll(id => Text(id) == "<|end|>");
        if (Has("<|tool_response>")) ends.RemoveAll(id => Text(id) == "</s>");
        var more = metadata.TryGetValue(MoreEos, out var list) && list.Value is int[] ids ? ids.Where(id => id >= 0 && id < vocabSize) : [];
        return [.. ends.Concat(more).Distinct()];

        bool Has(params string[] texts) => ends.Exists(id => texts.Contains(Text(id)));

        string? Text(int id) => id < tokens.Length ? tokens[id] : null;
    }

    /// <summary>Writes a model's ids where the tokenizer did not, so that each of them is found again.</summary>
    public static void Write(CausalLMConfig config, GgufMetadata metadata)
    {
        Add(GgufTokenizer.Prefix + "bos_token_id", config.BosTokenId);
        Add(GgufTokenizer.Prefix + "padding_token_id", config.PadTokenId);

        var ends = config.StopTokenIds.Concat(config.EosTokenIds).Where(IsId).Distinct().ToList();
        Add(Eos, ends.Select(id => (int?)id).FirstOrDefault());
        var free = new Queue<string>(EndKeys.Where(key => !metadata.Contains(key)));
        HashSet<int> found = [.. FindEnds(metadata, config.VocabSize)];
        var left = ends.Where(id => !found.Contains(id)).ToList();
        while (left.Count > 0 && free.TryDequeue(out var key))
        {
            Add(key, left[0]);
            left.RemoveAt(0);
        }

        if (left.Count == 0) return;
        metadata[MoreEos] = GgufValue.OfArray(left.ToArray());
        FossilWarnings.Report(string.Create(CultureInfo.InvariantCulture, $"GGUF has keys for three end tokens, so llama.cpp will not stop at {string.Join(", ", left)}; this library does."));

        bool IsId(int id) => id >= 0 && id < config.VocabSize;

        void Add(string key, int? id)
        {
            if (id is { } value && IsId(value)) metadata.TryAdd(key, GgufValue.Of((uint)value));
        }
    }
}
