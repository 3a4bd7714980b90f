using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Fossil.Models.Tokenizers;

/// <summary>Byte-level byte-pair encoding (GPT-2, Llama 3, SmolLM2, Qwen): words, spelled in <see cref="ByteLevelAlphabet"/>, whose bytes are merged.</summary>
internal sealed class ByteLevelEncoder : ITextEncoder
{
    private readonly TokenizerDefinition definition;
    private readonly PreTokenizer preTokenizer;
    private readonly HashSet<int> special;
    private readonly BpeTokenizer bpe;

    public ByteLevelEncoder(TokenizerDefinition definition)
    {
        this.definition = definition;
        using var description = JsonDocument.Parse(definition.PreTokenizer!.ToJsonString());
        preTokenizer = new PreTokenizer(description.RootElement, definition.Path);
        special = [.. definition.AddedTokens.Where(token => token.Special).Select(token => token.Id)];
        bpe = Merger.Create(definition.Vocabulary, definition.Merges, definition.Path);
    }

    // Some vocabularies list markers among their tokens; they are spelled as themselves.
    public IEnumerable<KeyValuePair<int, byte[]>> Bytes =>
        definition.Vocabulary.Select(token => KeyValuePair.Create(token.Value, ByteLevelAlphabet.Read(token.Key) ?? Encoding.UTF8.GetBytes(token.Key)));

    public void Encode(string text, PartStart start, List<int> ids)
    {
        foreach (var word in preTokenizer.Split(definition.NormalizeC ? CanonicalComposition.Normalize(text) : text))
        {
            var spelling = ByteLevelAlphabet.Spell(word);
            if (definition.IgnoreMerges && definition.Vocabulary.TryGetValue(spelling, out var id) && !special.Contains(id)) ids.Add(id);
            else ids.AddRange(Merger.Merge(bpe, spelling));
        }
    }
}

/// <summary>Microsoft.ML.Tokenizers' merging.</summary>
internal static class Merger
{
    /// <exception cref="TokenizerException">Merges and vocabulary contradict each other.</exception>
    public static BpeTokenizer Create(IEnumerable<KeyValuePair<string, int>> vocabulary, IEnumerable<string> merges, string path)
    {
        try
        {
            return BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = merges });
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // Microsoft.ML.Tokenizers does not say what it throws then.
            throw new TokenizerException(path, $"the merges do not fit the vocabulary: {exception.Message}", exception);
        }
    }

    public static IReadOnlyList<int> Merge(BpeTokenizer bpe, string word) => bpe.EncodeToIds(word, considerPreTokenization: false, considerNormalization: false);
}
