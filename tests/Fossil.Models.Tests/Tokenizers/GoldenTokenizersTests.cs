using System.IO.Compression;
using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Tests.Chat;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Models.Tests.Tokenizers;

/// <summary>Published tokenizers and llama.cpp's vocabularies, against what Hugging Face's tokenizers and llama.cpp make of the same texts.</summary>
public sealed class GoldenTokenizersTests : IDisposable
{
    private const string None = "(no golden data)";

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Names() => Listed(root => Json(root, "cases.json").AsArray().Select(entry => (string)entry!["name"]!));

    public static TheoryData<string> Vocabularies() => Listed(root => Directory.EnumerateFiles(Path.Combine(root, "gguf"), "*.json").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal));

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Ids_and_texts_are_those_of_the_reference(string name)
    {
        var tokenizer = Load(name);
        var wrong = new List<string>();
        foreach (var row in Json(DataFolders.RequireGoldenTokenizers(), name, "reference.json").AsArray())
        {
            var text = (string)row!["text"]!;
            var ids = Ids(row["ids"]);
            Check(text, "ids", ids, tokenizer.Encode(text, addSpecialTokens: false));
            Check(text, "ids with special tokens", Ids(row["ids_with_special_tokens"]), tokenizer.Encode(text));
            Check(text, "decoded", (string)row["decoded"]!, tokenizer.Decode(ids));
            Check(text, "decoded without special tokens", (string)row["decoded_without_special_tokens"]!, tokenizer.Decode(ids, skipSpecialTokens: true));
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} differ:\n{string.Join('\n', wrong.Take(20))}");

        void Check<T>(string text, string what, IEnumerable<T> expected, IEnumerable<T> actual)
        {
            if (!expected.SequenceEqual(actual)) wrong.Add($"{JsonValue.Create(text)!.ToJsonString()}, {what}: {string.Join(' ', expected.Take(40))} | {string.Join(' ', actual.Take(40))}");
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Conversations_are_written_by_the_tokenizers_own_template(string name)
    {
        var tokenizer = Load(name);
        foreach (var chat in Json(DataFolders.RequireGoldenTokenizers(), name, "chats.json").AsArray())
        {
            var conversation = GoldenChat.Json("conversations", (string)chat!["conversation"]! + ".json");
            var (template, messages) = (ChatTemplate.Of(tokenizer), conversation["messages"]!.AsArray());
            var options = new ChatTemplateOptions
            {
                AddGenerationPrompt = (bool)chat["add_generation_prompt"]!,
                Tools = conversation["tools"]?.AsArray(),
                Now = new DateTime(2025, 3, 4, 5, 6, 7, DateTimeKind.Unspecified),
            };
            if (chat["error"] is not null)
            {
                Assert.Throws<ChatTemplateException>(() => template.Apply(messages, options));
                continue;
            }

            Assert.Equal((string)chat["text"]!, template.Apply(messages, options));

            // Markers that somebody wrote into a message are tokens for transformers, and text here.
            var ids = Ids(chat["ids"]);
            Assert.Equal(ids, tokenizer.Encode((string)chat["text"]!, addSpecialTokens: false));
            if ((string)chat["conversation"]! != "marker_tokens") Assert.Equal(ids, template.Encode(tokenizer, messages, options));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Vocabularies))]
    public void Ids_of_a_gguf_vocabulary_are_llama_cpps(string name)
    {
        var root = DataFolders.RequireGoldenTokenizers();
        Unpack(Path.Combine(root, "gguf", name + ".gguf.gz"), folder["a.gguf"]);
        var tokenizer = PretrainedTokenizer.FromGguf(folder["a.gguf"]);
        var rows = Json(root, "gguf", name + ".json").AsArray();
        Assert.NotEmpty(rows);
        foreach (var row in rows) Assert.Equal(Ids(row!["ids"]), tokenizer.Encode((string)row["text"]!, addSpecialTokens: false));
    }

    public void Dispose() => folder.Dispose();

    private static TheoryData<string> Listed(Func<string, IEnumerable<string>> list) => [.. DataFolders.GoldenTokenizers is { } root ? list(root).ToArray() : [None]];

    private static JsonNode Json(params string[] path) => JsonNode.Parse(File.ReadAllBytes(Path.Combine(path)))!;

    private static int[] Ids(JsonNode? ids) => [.. ids!.AsArray().Select(id => (int)id!)];

    private static void Unpack(string source, string target)
    {
        using var packed = new GZipStream(File.OpenRead(source), CompressionMode.Decompress);
        using var file = File.Create(target);
        packed.CopyTo(file);
    }

    private PretrainedTokenizer Load(string name)
    {
        var source = Path.Combine(DataFolders.RequireGoldenTokenizers(), name);
        Unpack(Path.Combine(source, "tokenizer.json.gz"), folder["tokenizer.json"]);
        File.Copy(Path.Combine(source, "tokenizer_config.json"), folder["tokenizer_config.json"]);
        return PretrainedTokenizer.FromPretrained(folder.Path);
    }
}
