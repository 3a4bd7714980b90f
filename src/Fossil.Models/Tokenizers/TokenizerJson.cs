using System.Text.Json;

namespace Fossil.Models.Tokenizers;

/// <summary>Reads members of a tokenizer's JSON; what is missing or of another kind is an error that names it.</summary>
internal static class TokenizerJson
{
    /// <summary>An object or value that must be there.</summary>
    public static JsonElement Member(this JsonElement parent, string name, string path) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var member) ? member : throw new TokenizerException(path, $"there is no '{name}' where one belongs.");

    /// <summary>A member that may be missing or null.</summary>
    public static JsonElement? Optional(this JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;

    /// <summary>A string that must be there.</summary>
    public static string Text(this JsonElement parent, string name, string path) => parent.Member(name, path).AsText(name, path);

    /// <summary>The element as a string.</summary>
    public static string AsText(this JsonElement element, string name, string path) =>
        element.ValueKind == JsonValueKind.String ? element.GetString()! : throw new TokenizerException(path, $"'{name}' is no string.");

    /// <summary>The element as an id.</summary>
    public static int AsId(this JsonElement element, string name, string path) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var id) && id >= 0 ? id : throw new TokenizerException(path, $"the id of '{name}' is no whole number from 0 to 2147483647.");

    /// <summary>A truth value.</summary>
    public static bool Flag(this JsonElement parent, string name, string path, bool fallback = false) => parent.Optional(name)?.ValueKind switch
    {
        null => fallback,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw new TokenizerException(path, $"'{name}' is neither true nor false."),
    };

    /// <summary>An array that must be there.</summary>
    public static JsonElement.ArrayEnumerator List(this JsonElement parent, string name, string path) =>
        parent.Member(name, path) is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray() : throw new TokenizerException(path, $"'{name}' is no list.");
}
