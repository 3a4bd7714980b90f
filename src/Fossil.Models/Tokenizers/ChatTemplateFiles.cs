using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Models.Gguf;
using Fossil.Serialization;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// Where chat templates are kept: in a Hugging Face folder <c>chat_template.jinja</c> with others in <c>additional_chat_templates/NAME.jinja</c>, or else <c>chat_template</c> in
/// <c>tokenizer_config.json</c>, or else <c>chat_template.json</c>; in a GGUF file <c>tokenizer.chat_template</c> and <c>tokenizer.chat_template.NAME</c>.
/// </summary>
internal static class ChatTemplateFiles
{
    /// <summary>The name of the template that is used where none is named.</summary>
    public const string Default = "default";

    /// <summary>The default template's file.</summary>
    public const string FileName = "chat_template.jinja";

    /// <summary>The templates as a processor's (of a model for pictures and text) older file has them.</summary>
    public const string ProcessorFileName = "chat_template.json";

    /// <summary>The folder of the other templates' files.</summary>
    public const string AdditionalFolder = "additional_chat_templates";

    private const string Extension = ".jinja";
    private const string ConfigMember = "chat_template";
    private const string GgufKey = "tokenizer.chat_template";
    private const string GgufNamesKey = "tokenizer.chat_templates";

    /// <summary>The templates of a Hugging Face folder. As transformers does: where one has a file of its own, what <c>tokenizer_config.json</c> says does not count.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="pathOf">Where the folder's files are.</param>
    /// <param name="config">The content of <c>tokenizer_config.json</c>, where it is there.</param>
    /// <exception cref="TokenizerException">A template is no string.</exception>
    public static IReadOnlyDictionary<string, string> Read(string folder, Func<string, string> pathOf, JsonElement? config)
    {
        var templates = new Dictionary<string, string>(StringComparer.Ordinal);
        if (File.Exists(pathOf(FileName))) templates[Default] = File.ReadAllText(pathOf(FileName));
        foreach (var (name, content) in Additional(folder)) templates[Path.GetFileNameWithoutExtension(name)] = System.Text.Encoding.UTF8.GetString(content);
        if (templates.ContainsKey(Default)) return templates;

        if (config?.Optional(ConfigMember) is { } inConfig)
        {
            Add(inConfig, pathOf(HuggingFaceTokenizer.ConfigFileName));
        }
        else if (File.Exists(pathOf(ProcessorFileName)))
        {
            var path = pathOf(ProcessorFileName);
            using var document = JsonFile.Read(path, (problem, inner) => new TokenizerException(path, $"the file {problem}", inner));
            if (document.RootElement.Optional(ConfigMember) is { } inFile) Add(inFile, path);
        }

        return templates;

        void Add(JsonElement from, string path)
        {
            foreach (var (name, text) in Named(from, path)) templates.TryAdd(name, text);
        }
    }

    /// <summary>The files of the folder of other templates; none where it is not there.</summary>
    public static IReadOnlyList<(string Name, byte[] Content)> Additional(string folder)
    {
        var additional = Path.Combine(folder, AdditionalFolder);
        if (!Directory.Exists(additional)) return [];
        return AtomicFolder.Read(additional, pathOf => Directory.EnumerateFiles(additional, "*" + Extension).Select(file => Path.GetFileName(file)).Where(name => name[0] != '.')
            .Order(StringComparer.Ordinal).Select(name => (name, File.ReadAllBytes(pathOf(name)))).ToList());
    }

    /// <summary>Makes a folder's other templates those of a tokenizer: files of another one's that was saved there go.</summary>
    public static void WriteAdditional(string folder, TokenizerDefinition tokenizer)
    {
        var additional = Path.Combine(folder, AdditionalFolder);
        var files = tokenizer.SourceFolder is { } source ? Additional(source) : [];
        if (files.Count == 0 && !Directory.Exists(additional)) return;
        AtomicFolder.Write(additional, name => name.EndsWith(Extension, StringComparison.Ordinal), [.. files.Select(file => (file.Name, (Action<Stream>)(stream => stream.Write(file.Content))))]);
    }

    /// <summary>The templates as <c>tokenizer_config.json</c> has them.</summary>
    public static JsonNode? ToJson(IReadOnlyDictionary<string, string> templates) => templates.Count switch
    {
        0 => null,
        1 when templates.TryGetValue(Default, out var only) => only,
        _ => new JsonArray([.. templates.Select(template => (JsonNode)new JsonObject { ["name"] = template.Key, ["template"] = template.Value })]),
    };

    /// <summary>The templates of a GGUF file.</summary>
    public static IReadOnlyDictionary<string, string> Read(GgufMetadata metadata)
    {
        var templates = new Dictionary<string, string>(StringComparer.Ordinal);
        if (metadata.FindString(GgufKey) is { } template) templates[Default] = template;
        foreach (var key in metadata.Select(entry => entry.Key).Where(key => key.StartsWith(GgufKey + ".", StringComparison.Ordinal))) templates[key[(GgufKey.Length + 1)..]] = metadata.GetString(key);
        return templates;
    }

    /// <summary>Puts the templates into a GGUF file's metadata, as llama.cpp's converter does.</summary>
    public static void Write(IReadOnlyDictionary<string, string> templates, GgufMetadata metadata)
    {
        if (templates.TryGetValue(Default, out var template)) metadata[GgufKey] = GgufValue.Of(template);
        var others = templates.Where(other => other.Key != Default).Select(other => (Name: string.Concat(other.Key.Select(character => char.IsAsciiLetterOrDigit(character) ? character : '_')), Text: other.Value)).ToList();
        foreach (var (name, text) in others) metadata[$"{GgufKey}.{name}"] = GgufValue.Of(text);
        if (others.Count > 0) metadata[GgufNamesKey] = GgufValue.OfArray(others.Select(other => other.Name).ToArray());
    }

    /// <summary>One template, or several by their names.</summary>
    private static IEnumerable<(string Name, string Text)> Named(JsonElement templates, string path) => templates.ValueKind switch
    {
        JsonValueKind.Array => templates.EnumerateArray().Select(named => (named.Text("name", path), named.Text("template", path))),
        JsonValueKind.Object => templates.EnumerateObject().Select(named => (named.Name, named.Value.AsText(ConfigMember, path))),
        _ => [(Default, templates.AsText(ConfigMember, path))],
    };
}
