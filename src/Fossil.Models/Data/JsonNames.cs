using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models.Data;

/// <summary>What JSON values are called in messages.</summary>
internal static class JsonNames
{
    /// <summary>The kind of a value, with its article.</summary>
    public static string Of(JsonNode? node) => node?.GetValueKind() switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a truth value",
        _ => "null",
    };
}
