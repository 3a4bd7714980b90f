using System.Globalization;
using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Models.Tests.Chat;

/// <summary>transformers' own renderings of conversations: templates, conversations, and cases of both with options.</summary>
internal static class GoldenChat
{
    private const string None = "(no golden data)";

    private static readonly string[] TokenNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private static readonly Lazy<ILookup<string, JsonObject>> AllCases = new(() => (DataFolders.GoldenChat is { } folder
            ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsArray().Select(node => node!.AsObject())
            : []).ToLookup(entry => (string?)entry["template"] ?? (string)entry["template_set"]!));

    /// <summary>The names of all templates and sets of templates.</summary>
    public static TheoryData<string> Names() => [.. AllCases.Value.Select(group => group.Key).DefaultIfEmpty(None)];

    /// <summary>The cases of a template; skips the test where there are no data.</summary>
    public static IReadOnlyList<GoldenChatCase> Cases(string name)
    {
        DataFolders.RequireGoldenChat();
        return [.. AllCases.Value[name].Select(entry => new GoldenChatCase(entry))];
    }

    /// <summary>A template's text.</summary>
    public static string Template(string name) => File.ReadAllText(Path.Combine(DataFolders.RequireGoldenChat(), "templates", name + ".jinja"));

    /// <summary>A file of JSON.</summary>
    public static JsonNode Json(params string[] path) => JsonNode.Parse(File.ReadAllBytes(Path.Combine([DataFolders.RequireGoldenChat(), .. path])))!;

    /// <summary>The special tokens among a case's options.</summary>
    public static Dictionary<string, string> SpecialTokens(JsonObject options) => TokenNames.Where(name => options[name] is not null).ToDictionary(name => name, name => (string)options[name]!);

    /// <summary>A byte-level tokenizer without merges, with these markers.</summary>
    public static PretrainedTokenizer Tokenizer(IEnumerable<string> markers) => new(new TokenizerDefinition
    {
        Path = "test",
        Vocabulary = Enumerable.Range(0, 0x180).Select(character => ((char)character).ToString()).Where(spelling => ByteLevelAlphabet.Read(spelling) is not null).ToDictionary(spelling => spelling, spelling => (int)ByteLevelAlphabet.Read(spelling)![0]),
        Merges = [],
        AddedTokens = [.. markers.Select((marker, index) => new AddedToken(256 + index, marker, Special: true))],
        PreTokenizer = JsonNode.Parse(NamedPreTokenizer.Find("gpt-2")!.Json),
    });
}

/// <summary>One case of <c>cases.json</c>.</summary>
internal sealed class GoldenChatCase(JsonObject entry)
{
    private readonly JsonObject conversation = GoldenChat.Json("conversations", (string)entry["conversation"]! + ".json").AsObject();
    private readonly JsonObject options = entry["options"]!.AsObject();

    public string Name => (string)entry["name"]!;

    public string Conversation => (string)entry["conversation"]!;

    public string? Rendered => (string?)entry["rendered"];

    public string? ErrorKind => (string?)entry["error"]?["kind"];

    public string? ErrorMessage => (string?)entry["error"]?["message"];

    public int? ErrorLine => (int?)entry["error"]?["line"];

    public IReadOnlyList<(int Start, int End)>? AssistantSpans => entry["assistant_spans"]?.AsArray().Select(span => ((int)span![0]!, (int)span[1]!)).ToList();

    public JsonArray Messages => conversation["messages"]!.AsArray();

    public Dictionary<string, string> SpecialTokens => GoldenChat.SpecialTokens(options);

    public ChatTemplate Template => entry["template"] is { } template
        ? ChatTemplate.Parse(GoldenChat.Template((string)template!), SpecialTokens)
        : ChatTemplate.Parse(GoldenChat.Json("template_sets", (string)entry["template_set"]! + ".json").AsArray().ToDictionary(one => (string)one!["name"]!, one => (string)one!["template"]!), SpecialTokens);

    public ChatTemplateOptions Options => new()
    {
        AddGenerationPrompt = (bool)options["add_generation_prompt"]!,
        ContinueFinalMessage = options["continue_final_message"] is not null,
        ContinuedField = options["continue_final_message"] is { } continued && continued.GetValueKind() == System.Text.Json.JsonValueKind.String ? (string)continued! : "content",
        Tools = (bool?)options["pass_tools"] == false ? null : conversation["tools"]?.AsArray(),
        Documents = conversation["documents"]?.AsArray(),
        Variables = options["kwargs"]?.AsObject(),
        Template = (string?)options["chat_template"],
        Now = options["now"] is { } now ? DateTime.Parse((string)now!, CultureInfo.InvariantCulture) : null,
    };
}
