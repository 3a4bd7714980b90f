using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Models.Chat;

namespace Fossil.Models.Data;

/// <summary>Finds what of a conversation is not in the text that the template made of it.</summary>
internal static class WrittenText
{
    private const string EndOfThought = "</think>";

    /// <summary>Looks for each value of the conversation in the text.</summary>
    /// <returns>
    /// A value that must not be lost (what somebody said, the names and arguments of calls, the names of functions), or null; and the paths of other values that are not there, such as earlier thoughts.
    /// </returns>
    public static (string? Refused, IReadOnlyCollection<string> Ignored) Check(string text, JsonArray messages, ChatTemplateOptions options)
    {
        var ignored = new SortedSet<string>(StringComparer.Ordinal);
        string? refused = null;
        for (var i = 0; i < messages.Count; i++)
        {
            foreach (var (name, value) in (JsonObject)messages[i]!)
            {
                if (name != "role") Visit(value, $"messages[{i}].{name}", $"messages[].{name}");
            }
        }

        Visit(options.Tools, "tools", "tools");
        Visit(options.Documents, "documents", "documents");
        return (refused, ignored);

        void Visit(JsonNode? node, string where, string path)
        {
            if (node is JsonObject fields)
            {
                foreach (var (name, value) in fields) Visit(value, $"{where}.{name}", $"{path}.{name}");
            }
            else if (node is JsonArray items)
            {
                for (var i = 0; i < items.Count; i++) Visit(items[i], $"{where}[{i}]", path + "[]");
            }
            else if (node is JsonValue value && !IsWritten(text, value))
            {
                if (path == "messages[].content" && IsAnswerOfThoughts(text, value)) ignored.Add(path + " (earlier thoughts)");
                else if (MustBeWritten(path)) refused ??= where;
                else ignored.Add(path);
            }
        }
    }

    /// <summary>JSON with no more escapes than it needs, without the serializer's reflection.</summary>
    public static string ToJson(JsonNode node)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) node.WriteTo(writer);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static bool MustBeWritten(string path) => path is "messages[].content" or "tools[].function.name" or "tools[].name"
        || path.StartsWith("messages[].tool_calls[].function.name", StringComparison.Ordinal) || path.StartsWith("messages[].tool_calls[].function.arguments", StringComparison.Ordinal);

    private static bool IsWritten(string text, JsonValue value) => value.GetValueKind() switch
    {
        JsonValueKind.String => IsWritten(text, value.GetValue<string>()),
        JsonValueKind.True => text.Contains("true", StringComparison.OrdinalIgnoreCase),
        JsonValueKind.False => text.Contains("false", StringComparison.OrdinalIgnoreCase),
        _ => text.Contains(value.ToJsonString(), StringComparison.Ordinal) || (value.TryGetValue<double>(out var number) && text.Contains(number.ToString("R", CultureInfo.InvariantCulture), StringComparison.Ordinal)),
    };

    /// <summary>Templates trim what is said, indent its lines, and write it as JSON.</summary>
    private static bool IsWritten(string text, string said)
    {
        var trimmed = said.Trim();
        return text.Contains(trimmed, StringComparison.Ordinal)
            || text.Contains(JsonEncodedText.Encode(trimmed, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString(), StringComparison.Ordinal)
            || text.Contains(JsonEncodedText.Encode(trimmed, JavaScriptEncoder.Default).ToString(), StringComparison.OrdinalIgnoreCase)
            || (trimmed.Contains('\n') && trimmed.Split('\n', StringSplitOptions.TrimEntries).All(line => text.Contains(line, StringComparison.Ordinal)));
    }

    private static bool IsAnswerOfThoughts(string text, JsonValue value) =>
        value.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is var said && said.LastIndexOf(EndOfThought, StringComparison.Ordinal) is >= 0 and var at && IsWritten(text, said[(at + EndOfThought.Length)..]);
}
