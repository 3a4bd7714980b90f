using System.Text.Json;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;

namespace Fossil.Models.Tests.Tokenizers;

/// <summary>The real vocabulary, against ids by llama.cpp, on which transformers agrees.</summary>
public sealed class TokenizerSmolLM2Tests
{
    private static readonly Lazy<PretrainedTokenizer> Tokenizer = new(() => PretrainedTokenizer.FromGguf(SmolLM2.Model));

    private static readonly Lazy<JsonElement[]> Reference = new(() =>
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(SmolLM2.Reference("tokens.json")));
        return [.. document.RootElement.Clone().EnumerateArray()];
    });

    public static TheoryData<int> Strings()
    {
        var indices = new TheoryData<int>();
        for (var i = 0; i < (TestData.DataFolders.Models is null ? 1 : Reference.Value.Length); i++) indices.Add(i);
        return indices;
    }

    [SkippableTheory]
    [MemberData(nameof(Strings))]
    public void Ids_are_those_of_the_reference_and_decode_to_the_text(int index)
    {
        TestData.DataFolders.RequireModels();
        var (text, ids, asText) = Case(index);
        Assert.Equal(ids, Tokenizer.Value.Encode(text, addSpecialTokens: false));
        Assert.Equal(asText, Tokenizer.Value.Encode(text, addSpecialTokens: false, parseSpecialTokens: false));
        Assert.Equal(text, Tokenizer.Value.Decode(ids));
        Assert.Equal(text, Tokenizer.Value.Decode(asText));
    }

    [SkippableFact]
    public void Streamed_text_never_ends_inside_a_character()
    {
        TestData.DataFolders.RequireModels();
        for (var index = 0; index < Reference.Value.Length; index++)
        {
            var (text, _, ids) = Case(index);
            var decoder = new StreamingDecoder(Tokenizer.Value);
            var parts = ids.Select(decoder.Append).Append(decoder.Finish()).ToArray();
            Assert.Equal(text, string.Concat(parts));
            Assert.DoesNotContain(parts, part => part.Contains('\uFFFD') || (part.Length > 0 && (char.IsHighSurrogate(part[^1]) || char.IsLowSurrogate(part[0]))));
        }
    }

    [SkippableFact]
    public void A_whole_book_round_trips()
    {
        TestData.DataFolders.RequireModels();
        var text = File.ReadAllText(Path.Combine(TestData.DataFolders.Models!, "..", "data", "paradise_lost.txt"));
        var tokenizer = Tokenizer.Value;
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [SkippableFact]
    public void Markers_are_known()
    {
        TestData.DataFolders.RequireModels();
        var tokenizer = Tokenizer.Value;
        Assert.Equal((1, 2, 2, 0), (tokenizer.BosTokenId, tokenizer.EosTokenId, tokenizer.PadTokenId, tokenizer.UnkTokenId));
        Assert.Equal(49152, tokenizer.VocabSize);
        Assert.Equal(2, tokenizer.IdOf("<|im_end|>"));
        Assert.Equal("a", tokenizer.Decode([1, .. tokenizer.Encode("a"), 2], skipSpecialTokens: true));
        Assert.Empty(tokenizer.BytesOf(60_000).ToArray());
    }

    [SkippableFact]
    public void The_same_vocabulary_as_a_tokenizer_json_gives_the_same_ids()
    {
        using var folder = new TestData.TemporaryFolder();
        TestData.DataFolders.RequireModels();
        AtomicFolder.Write(folder.Path, HuggingFaceTokenizerWriter.Files(Tokenizer.Value.Definition));
        var loaded = PretrainedTokenizer.FromPretrained(folder.Path);
        Assert.Equal(Tokenizer.Value.ChatTemplate, loaded.ChatTemplate);
        Assert.Equal((Tokenizer.Value.BosTokenId, Tokenizer.Value.EosTokenId, Tokenizer.Value.PadTokenId, Tokenizer.Value.UnkTokenId), (loaded.BosTokenId, loaded.EosTokenId, loaded.PadTokenId, loaded.UnkTokenId));
        for (var index = 0; index < Reference.Value.Length; index++)
        {
            var (text, ids, asText) = Case(index);
            Assert.Equal(ids, loaded.Encode(text));
            Assert.Equal(asText, loaded.Encode(text, parseSpecialTokens: false));
        }
    }

    [SkippableFact]
    public void Encoding_is_the_same_from_several_threads()
    {
        TestData.DataFolders.RequireModels();
        var tokenizer = PretrainedTokenizer.FromGguf(SmolLM2.Model);
        Parallel.For(0, 4 * Reference.Value.Length, i =>
        {
            var (text, ids, _) = Case(i % Reference.Value.Length);
            Assert.Equal(ids, tokenizer.Encode(text));
        });
    }

    private static (string Text, int[] Ids, int[] AsText) Case(int index)
    {
        var entry = Reference.Value[index];
        return (entry.GetProperty("text").GetString()!, Ids("ids"), Ids("ids_special_tokens_as_text"));

        int[] Ids(string name) => [.. entry.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
    }
}
