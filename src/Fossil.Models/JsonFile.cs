using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Fossil.Models;

/// <summary>JSON files. Those from elsewhere are checked: what is returned has nothing but Unicode text in its names and strings.</summary>
internal static class JsonFile
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="error">Makes the exception of what is wrong with its content: "is not JSON: …".</param>
    public static JsonDocument Read(string path, Func<string, Exception?, FossilException> error)
    {
        var bytes = File.ReadAllBytes(path);
        if (!Utf8.IsValid(bytes)) throw error("is not UTF-8.", null);
        var json = bytes.AsMemory(bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0);
        try
        {
            CheckStrings(json.Span);
            return JsonDocument.Parse(json);
        }
        catch (InvalidOperationException exception)
        {
            throw error($"has a string that is no Unicode text: {exception.Message}", exception);
        }
        catch (JsonException exception)
        {
            throw error($"is not JSON: {exception.Message}", exception);
        }
    }

    /// <summary>Writes indented JSON, without the serializer's reflection: a trimmed program has none for it.</summary>
    /// <param name="stream">The file.</param>
    /// <param name="json">The content.</param>
    /// <param name="encoder">Which characters are escaped; all but ASCII, and those with a meaning in HTML, where null.</param>
    public static void Write(Stream stream, JsonNode json, JavaScriptEncoder? encoder = null)
    {
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = encoder });
        json.WriteTo(writer);
    }

    // An escape can be half of a surrogate pair; JsonDocument would find that out only when it compares or returns the string.
    private static void CheckStrings(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped) reader.GetString();
        }
    }
}
