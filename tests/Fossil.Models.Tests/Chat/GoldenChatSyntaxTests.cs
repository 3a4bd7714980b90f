using System.Globalization;
using System.Text.Json.Nodes;
using Fossil.Models.Chat;
using Fossil.Models.Chat.Jinja;
using Fossil.TestData;

namespace Fossil.Models.Tests.Chat;

/// <summary>The template language, snippet by snippet, against transformers' own renderings.</summary>
public sealed class GoldenChatSyntaxTests
{
    private const string None = "(no golden data)";

    private static readonly Lazy<Dictionary<string, JsonObject>> Snippets = new(() => DataFolders.GoldenChat is { } folder
        ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "syntax", "syntax.json")))!.AsArray().Select(node => node!.AsObject()).ToDictionary(entry => (string)entry["name"]!)
        : []);

    public static TheoryData<string> Names() => [.. Snippets.Value.Keys.DefaultIfEmpty(None)];

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Snippet(string name)
    {
        DataFolders.RequireGoldenChat();
        var snippet = Snippets.Value[name];
        var now = snippet["now"] is { } given ? DateTime.Parse((string)given!, CultureInfo.InvariantCulture) : DateTime.Now;
        var variables = snippet["variables"]!.AsObject().ToDictionary(entry => entry.Key, entry => JsonText.FromConversation(entry.Value));
        string Render(JinjaTemplate template) => template.Render(variables, now).Value;

        if (snippet["rendered"] is { } rendered)
        {
            try
            {
                Assert.Equal((string)rendered!, Render(JinjaTemplate.Parse((string)snippet["template"]!)));
            }
            catch (ChatTemplateException exception) when (name.StartsWith("rare/", StringComparison.Ordinal))
            {
                // What no known chat template uses may be refused, by name.
                Assert.Equal(ChatTemplateErrorKind.Unsupported, exception.Kind);
            }

            return;
        }

        var error = snippet["error"]!;
        var (kind, isCompileError) = ((string)error["kind"]!, (string?)error["stage"] == "compile");
        JinjaTemplate? template = null;
        var failure = Assert.Throws<ChatTemplateException>(() => Render(template = JinjaTemplate.Parse((string)snippet["template"]!)));
        Assert.Equal(isCompileError, template is null);
        if ((int?)error["line"] is { } line) Assert.Equal(line, failure.Line);
        if ((string?)error["message"] is { } message && kind == "template") Assert.Equal(message, failure.Message);
        if (kind is "template" or "syntax" or "undefined" or "security" or "type" or "value") Assert.Equal(kind, failure.Kind.ToString(), ignoreCase: true);
    }
}
