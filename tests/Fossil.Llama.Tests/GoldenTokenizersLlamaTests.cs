using System.IO.Compression;
using System.Text.Json.Nodes;
using Fossil.Models;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Llama.Tests;

/// <summary>Published tokenizers as GGUF vocabularies in llama.cpp.</summary>
public sealed class GoldenTokenizersLlamaTests : IDisposable
{
    private const string None = "(no golden data)";

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Names() => Listed(root => Json(root, "cases.json").AsArray().Select(entry => (string)entry!["name"]!));

    public static TheoryData<string> Vocabularies() => Listed(root => Directory.EnumerateFiles(Path.Combine(root, "gguf"), "*.json").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal));

    [SkippableTheory, MemberData(nameof(Names))]
    public void A_tokenizer_that_we_write_gives_llama_cpps_tokens_and_ends(string name)
    {
        var source = Path.Combine(DataFolders.RequireGoldenTokenizers(), name);
        Unpack(Path.Combine(source, "tokenizer.json.gz"), folder["tokenizer.json"]);
        File.Copy(Path.Combine(source, "tokenizer_config.json"), folder["tokenizer_config.json"]);
        var tokenizer = PretrainedTokenizer.FromPretrained(folder.Path);
        using (var model = new LlamaForCausalLM(new LlamaConfig { VocabSize = tokenizer.VocabSize, HiddenSize = 4, IntermediateSize = 4, NumHiddenLayers = 1, NumAttentionHeads = 1, NumKeyValueHeads = 1, HeadDim = 4, TieWordEmbeddings = true }))
        {
            model.SaveGguf(folder["a.gguf"], GgufTensorType.F32, tokenizer);
        }

        using var client = new LlamaVocabulary(folder["a.gguf"]);
        AssertEnds(client, folder["a.gguf"]);
        var wrong = new List<string>();
        string[] texts = [.. Json(source, "reference.json").AsArray().Select(row => (string)row!["text"]!).Where(text => !IsOtherThere(text))];
        Assert.True(texts.Length > 500);
        foreach (var text in texts)
        {
            var (ours, theirs) = (tokenizer.Encode(text, addSpecialTokens: false), client.Tokens(text));
            if (!ours.SequenceEqual(theirs)) wrong.Add($"{JsonValue.Create(text)!.ToJsonString()}: {string.Join(' ', ours.Take(40))} | {string.Join(' ', theirs.Take(40))}");
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} differ:\n{string.Join('\n', wrong.Take(20))}");

        // llama.cpp composes no characters, and takes a word of the vocabulary that looks like the end of a text for one.
        bool IsOtherThere(string text) => CanonicalComposition.Normalize(text) != text || (text.Contains("</s>", StringComparison.Ordinal) && tokenizer.IdOf("</s>") is null);
    }

    [SkippableTheory, MemberData(nameof(Vocabularies))]
    public void A_vocabulary_of_llama_cpp_ends_texts_where_it_does_there(string name)
    {
        Unpack(Path.Combine(DataFolders.RequireGoldenTokenizers(), "gguf", name + ".gguf.gz"), folder["a.gguf"]);
        using var client = new LlamaVocabulary(folder["a.gguf"]);
        AssertEnds(client, folder["a.gguf"]);
    }

    public void Dispose() => folder.Dispose();

    private static void AssertEnds(LlamaVocabulary client, string path)
    {
        using var file = GgufFile.Open(path);
        var tokens = file.Metadata.FindStrings("tokenizer.ggml.tokens")!;
        Assert.Equal(client.Ends.Select(Named), GgufTokenIds.FindEnds(file.Metadata, tokens.Length).Order().Select(Named));

        string Named(int id) => $"{id} {tokens[id]}";
    }

    private static TheoryData<string> Listed(Func<string, IEnumerable<string>> list) => [.. DataFolders.GoldenTokenizers is { } root ? list(root).ToArray() : [None]];

    private static JsonNode Json(params string[] path) => JsonNode.Parse(File.ReadAllBytes(Path.Combine(path)))!;

    private static void Unpack(string source, string target)
    {
        using var packed = new GZipStream(File.OpenRead(source), CompressionMode.Decompress);
        using var file = File.Create(target);
        packed.CopyTo(file);
    }
}
