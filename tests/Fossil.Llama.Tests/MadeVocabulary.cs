using System.Text.Json.Nodes;
using Fossil.Models.Tests.Families;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Llama.Tests;

/// <summary>A byte-level vocabulary of 256 ids: three markers, the bytes that UTF-8 has, and a few merges.</summary>
internal static class MadeVocabulary
{
    public const int Size = FamilyModels.VocabSize;

    // Bytes that no UTF-8 text has make room for the rest.
    private static readonly string[] Markers = ["<pad>", "<s>", "</s>"], Merges = ["h e", "t he", "Ġ t", "Ġt he", "i n", "e r", "Ġ a", "a n", "an d", "Ċ Ċ"];

    public static PretrainedTokenizer Create()
    {
        using var folder = new TemporaryFolder();
        var bytes = Enumerable.Range(0, 256).Where(value => value is not (0xC0 or 0xC1 or >= 0xF5)).Select(Spell);
        string[] tokens = [.. Markers, .. bytes, .. Merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal))];
        Assert.Equal(Size, tokens.Length);
        var json = new JsonObject
        {
            ["added_tokens"] = new JsonArray([.. Markers.Select((marker, id) => (JsonNode)new JsonObject { ["id"] = id, ["content"] = marker, ["special"] = true, ["lstrip"] = false, ["rstrip"] = false, ["single_word"] = false })]),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = new JsonObject(tokens.Index().Skip(Markers.Length).Select(token => KeyValuePair.Create(token.Item, (JsonNode?)token.Index))),
                ["merges"] = new JsonArray([.. Merges.Select(merge => (JsonNode)merge)]),
            },
        };
        File.WriteAllText(folder["tokenizer.json"], json.ToJsonString());
        File.WriteAllText(folder["tokenizer_config.json"], """{"bos_token":"<s>","eos_token":"</s>","pad_token":"<pad>"}""");
        return PretrainedTokenizer.FromPretrained(folder.Path);
    }

    /// <summary>GPT-2's character for a byte.</summary>
    private static string Spell(int value) => ((char)(IsItself(value) ? value : 256 + Enumerable.Range(0, value).Count(before => !IsItself(before)))).ToString();

    private static bool IsItself(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
}
