using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.Methods;

namespace Fossil;

/// <summary>The JSON of an <c>adapter_config.json</c>, with a named error for each value that is not what the field wants.</summary>
internal sealed class AdapterConfigReader
{
    /// <summary>More than the list of every module of the largest models needs; what bounds the memory that reading takes.</summary>
    public const int MaxBytes = 4 << 20;

    private const int MaxDepth = 64;

    /// <summary>Laid out as Python's json.dumps(indent=2) does.</summary>
    public static readonly JsonSerializerOptions WriteOptions = new()
    {
        WriteIndented = true,
        IndentSize = 2,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth + 1,
    };

    /// <summary>Parses <paramref name="json"/>.</summary>
    /// <exception cref="ConfigurationException">It is not a JSON object.</exception>
    public AdapterConfigReader(ReadOnlySpan<byte> json, string? path)
    {
        Path = path;
        if (json.Length > MaxBytes) throw new ConfigurationException(string.Empty, path, $"the text has {json.Length} bytes, more than the {MaxBytes} that any adapter configuration needs.");
        try
        {
            CheckText(json);
            var options = new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false };
            Source = JsonNode.Parse(json, documentOptions: options) as JsonObject
                ?? throw new ConfigurationException(string.Empty, path, $"the text is not a JSON object. Is this an {AdapterConfig.FileName}?");
        }
        catch (JsonException exception)
        {
            throw new ConfigurationException(string.Empty, path, $"the text is not well-formed JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new ConfigurationException(string.Empty, path, $"the text holds a string that is not Unicode text: {exception.Message}", exception);
        }
    }

    /// <summary>Decodes every string once: the document would do it only when a value is asked for, and throw then.</summary>
    /// <exception cref="InvalidOperationException">A string is not Unicode text.</exception>
    private static void CheckText(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName) reader.GetString();
        }
    }

    /// <summary>The file; null where there is none.</summary>
    public string? Path { get; }

    /// <summary>The whole object.</summary>
    public JsonObject Source { get; }

    /// <summary>An error in a field.</summary>
    public ConfigurationException Invalid(string field, string message) => new(field, Path, message);

    /// <summary>A string or null.</summary>
    public string? Text(string field) => Get(field) is { } node ? AsText(field, node, "a string") : null;

    /// <summary>true or false.</summary>
    public bool Boolean(string field, bool absent) => Get(field) is not { } node
        ? absent
        : node.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Wrong(field, node, "true or false"),
        };

    /// <summary>A setting that is true or false.</summary>
    public bool Boolean(Setting<bool> setting) => Boolean(setting.Field, setting.Default);

    /// <summary>A setting that is a whole number.</summary>
    public int Integer(Setting<int> setting) => Get(setting.Field) is { } node ? AsInteger(setting.Field, node) : setting.Default;

    /// <summary>A setting that is a whole number of up to 64 bits, in digits.</summary>
    public long LongInteger(Setting<long> setting) => Get(setting.Field) is not { } node
        ? setting.Default
        : node.GetValueKind() == JsonValueKind.Number && long.TryParse(node.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw Wrong(setting.Field, node, "a whole number of up to 64 bits");

    /// <summary>A setting that is a number.</summary>
    public double Number(Setting<double> setting) => Get(setting.Field) is { } node ? AsNumber(setting.Field, node) : setting.Default;

    /// <summary>A whole number or a list of them.</summary>
    public IReadOnlyList<int>? Integers(string field) => Get(field) switch
    {
        null => null,
        JsonArray list => [.. list.Select(item => AsInteger(field, item))],
        var one => [AsInteger(field, one)],
    };

    /// <summary>A list of strings, or a single one where <paramref name="allowOne"/>.</summary>
    public IReadOnlyList<string>? Strings(string field, bool allowOne) => Get(field) switch
    {
        null => null,
        JsonArray list => [.. list.Select(item => AsText(field, item, "a list of strings"))],
        var one when allowOne => [AsText(field, one, "a string or a list of strings")],
        var other => throw Wrong(field, other, "a list of strings"),
    };

    /// <summary>A list of names, a regular expression or "all-linear".</summary>
    public ModuleSelector? Modules(string field) => Get(field) switch
    {
        null => null,
        JsonArray list => ModuleSelector.Create([.. list.Select(item => AsText(field, item, "a list of strings"))]),
        var one => ModuleSelector.FromPattern(AsText(field, one, "a string or a list of strings")),
    };

    /// <summary>Numbers by regular expression, in the file's order.</summary>
    public IReadOnlyDictionary<string, T> Patterns<T>(string field, Func<string, JsonNode?, T> read)
    {
        var patterns = new OrderedDictionary<string, T>(StringComparer.Ordinal);
        if (Get(field) is not { } node) return patterns;
        if (node is not JsonObject map) throw Wrong(field, node, "an object");
        foreach (var (key, value) in map) patterns.Add(key, read(field, value));
        return patterns;
    }

    /// <summary>One of several strings.</summary>
    public T Choice<T>(string field, T absent, params ReadOnlySpan<(string Name, T Value)> choices)
    {
        if (Get(field) is not { } node) return absent;
        foreach (var (name, value) in choices)
        {
            if (node.GetValueKind() == JsonValueKind.String && node.GetValue<string>() == name) return value;
        }

        throw Wrong(field, node, $"one of {string.Join(", ", choices.ToArray().Select(choice => $"'{choice.Name}'"))}");
    }

    /// <summary>The value of a field, null where it is null or missing.</summary>
    public JsonNode? Get(string field) => Source.TryGetPropertyValue(field, out var node) ? node : null;

    /// <summary>Refuses a file that asks for what this library does not do, rather than computing something else.</summary>
    public void RefuseUnsupported(IReadOnlyDictionary<string, JsonNode?> offValues)
    {
        foreach (var (field, off) in offValues)
        {
            var node = Get(field);
            if (node is null or JsonArray { Count: 0 } or JsonObject { Count: 0 } || node.GetValueKind() == JsonValueKind.False || JsonNode.DeepEquals(node, off)) continue;
            throw Invalid(field, $"{Describe(node)} switches on a feature of PEFT that Fossil does not have. Train or convert the adapter without it.");
        }
    }

    /// <summary>A whole number, also where it is written as 8.0.</summary>
    public int AsInteger(string field, JsonNode? node)
    {
        if (node?.GetValueKind() == JsonValueKind.Number)
        {
            var number = AsNumber(field, node);
            if (number >= int.MinValue && number <= int.MaxValue && Math.Floor(number) == number) return (int)number;
        }

        throw Wrong(field, node, "a whole number");
    }

    /// <summary>A finite number.</summary>
    public double AsNumber(string field, JsonNode? node)
    {
        if (node?.GetValueKind() == JsonValueKind.Number && double.TryParse(node.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
        {
            return number;
        }

        throw Wrong(field, node, "a number");
    }

    /// <summary>The error of a value that is not what the field wants.</summary>
    public ConfigurationException Wrong(string field, JsonNode? node, string wanted) => Invalid(field, $"{Describe(node)} is not {wanted}. Correct the value.");

    private string AsText(string field, JsonNode? node, string wanted) =>
        node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : throw Wrong(field, node, wanted);

    private static string Describe(JsonNode? node)
    {
        var text = node?.ToJsonString(WriteOptions) ?? "null";
        return text.Length <= 100 ? text : text[..100] + "…";
    }

    /// <summary>A list as JSON.</summary>
    public static JsonNode? ToNode(IEnumerable<string>? names) => names is null ? null : new JsonArray([.. names.Select(name => (JsonNode)name)]);

    /// <summary>A selector as JSON.</summary>
    public static JsonNode? ToNode(ModuleSelector? selector) => selector?.Pattern is { } pattern ? pattern : ToNode(selector?.Names);

    /// <summary>A float as Python writes it: 0.0, not 0.</summary>
    public static JsonNode? ToFloatNode(double value) =>
        JsonNode.Parse(value.ToString(Math.Floor(value) == value && Math.Abs(value) < 1e15 ? "0.0" : "R", CultureInfo.InvariantCulture));

    /// <summary>A number that PEFT has as an int, though a fraction is possible: 16, not 16.0.</summary>
    public static JsonNode? ToNumberNode(double value) =>
        JsonNode.Parse(value.ToString("R", CultureInfo.InvariantCulture));
}
