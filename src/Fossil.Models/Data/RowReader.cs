using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>Reads fields of a row by name and kind; each error names file, line and field.</summary>
internal sealed class RowReader(DataRow row)
{
    private const int QuotedCharacters = 40;
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    /// <summary>Fields that nobody has asked for.</summary>
    public IReadOnlyList<string> Unread => [.. row.Value.Select(entry => entry.Key).Where(name => !read.Contains(name))];

    /// <summary>Whether all of these fields are there, and not null.</summary>
    public bool Has(params ReadOnlySpan<string> fields)
    {
        foreach (var field in fields) if (row.Value[field] is null) return false;
        return true;
    }

    /// <summary>A field; null where it is missing.</summary>
    public JsonNode? Take(string field)
    {
        read.Add(field);
        return row.Value[field];
    }

    /// <summary>A string.</summary>
    public string Text(string field) => Text(Take(field), field);

    /// <summary>A string; empty where it is missing.</summary>
    public string OptionalText(string field) => Take(field) is { } node ? Text(node, field) : string.Empty;

    /// <summary>A list, which may be written as JSON in a string, as data sets with fixed columns do; null where it is missing.</summary>
    public JsonArray? OptionalArray(string field) => Take(field) is not { } node ? null : Unquote(node) as JsonArray ?? throw Error($"{field} must be an array, not {JsonNames.Of(node)}.");

    /// <summary>An object, which may be written as JSON in a string; null where it is missing.</summary>
    public JsonObject? OptionalObject(string field) => Take(field) is not { } node ? null : Unquote(node) as JsonObject ?? throw Error($"{field} must be an object, not {JsonNames.Of(node)}.");

    /// <summary>The string that a value is.</summary>
    public string Text(JsonNode? node, string where) => node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : throw Error($"{where} must be a string, not {JsonNames.Of(node)}.");

    /// <summary>What a string holds, where that is a JSON object or array; otherwise the value itself.</summary>
    public static JsonNode? Unquote(JsonNode? node)
    {
        if (node is not JsonValue value || value.GetValueKind() != JsonValueKind.String) return node;
        var text = value.GetValue<string>();
        if (text.AsSpan().TrimStart() is not ['{' or '[', ..]) return node;
        try
        {
            return JsonNode.Parse(text) is var parsed and (JsonObject or JsonArray) ? parsed : node;
        }
        catch (JsonException)
        {
            // Text that only looks like JSON is text.
            return node;
        }
    }

    public TrainingDataException Error(string reason, Exception? inner = null) => row.Error(reason, inner);

    public static string Shorten(string text) => text.Length <= QuotedCharacters ? text : text[..QuotedCharacters] + "…";
}
