using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil.Models;

/// <summary>Reads the fields of a model's <c>config.json</c>; what is missing, of the wrong kind or not supported is an error that names file and field.</summary>
internal sealed class ModelConfigReader
{
    private readonly string path;
    private readonly JsonElement root;

    private ModelConfigReader(string path, JsonElement root)
    {
        this.path = path;
        this.root = root;
        if (root.ValueKind != JsonValueKind.Object) throw Error("is not a JSON object");
    }

    /// <summary>Hugging Face's name of the family.</summary>
    public string ModelType => Text(root, "model_type") ?? throw Error($"has no model_type{(Architectures.Count == 0 ? "" : $"; its architecture is {string.Join(", ", Architectures)}, so write its model_type into it")}");

    /// <summary>The classes of transformers that the model was written by; none where the file does not say.</summary>
    public IReadOnlyList<string> Architectures => !root.TryGetProperty("architectures", out var list) || list.ValueKind == JsonValueKind.Null ? []
        : list.ValueKind == JsonValueKind.Array && list.EnumerateArray().All(name => name.ValueKind == JsonValueKind.String) ? [.. list.EnumerateArray().Select(name => name.GetString()!)]
        : throw Error($"has architectures {list}, which is no list of names");

    /// <exception cref="CheckpointException">The file is missing or no such configuration.</exception>
    public static ModelConfigReader Open(string path)
    {
        try
        {
            using var document = JsonFile.Read(path, (problem, inner) => new CheckpointException($"{path} {problem}", inner));
            return new ModelConfigReader(path, document.RootElement.Clone());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Refuses a field with another value than the only one that a decoder does; it may be missing.</summary>
    public ModelConfigReader Expect(string name, string value) =>
        Text(root, name) is { } stated && stated != value ? throw Error($"has {name} \"{stated}\"; this decoder does {value}") : this;

    /// <summary>A list of one string a layer, such as <c>layer_types</c>; null where the field is no list.</summary>
    public string[]? PerLayer(string name, int layers) => Layers(name, layers)?.Select(t => t.ValueKind == JsonValueKind.String ? t.GetString()! : throw Error("has a layer type that is no string")).ToArray();

    /// <summary>A list of 0 or 1 a layer, such as <c>no_rope_layers</c>; null where the field is no list.</summary>
    public bool[]? FlagPerLayer(string name, int layers) => Layers(name, layers)?.Select(flag => flag.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number when flag.TryGetInt64(out var value) && value is (0 or 1) => value == 1,
        _ => throw Error($"has {flag} in {name}, which is neither 0 nor 1"),
    }).ToArray();

    /// <summary>A list of layers by their numbers, such as <c>mlp_only_layers</c>; empty where the field is missing.</summary>
    public int[] LayerNumbers(string name, int layers) => !root.TryGetProperty(name, out var list) || list.ValueKind == JsonValueKind.Null ? []
        : list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Select(number => number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var layer) && layer >= 0 && layer < layers ? layer : throw Error($"has {number} in {name}, which is none of {layers} layers"))]
        : throw Error($"has {name} {list}, which is no list");

    /// <summary>All fields.</summary>
    public JsonObject Fields() => JsonObject.Create(root)!;

    /// <summary>The ids of a field with one or a list; what is no id of the vocabulary, such as -1, is none.</summary>
    public int[] TokenIds(string name, int vocabSize)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return [];
        var values = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : (IEnumerable<JsonElement>)[value];
        var ids = values.Where(v => v.ValueKind != JsonValueKind.Null).Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt64(out var id) ? id : throw Error($"has {name} {v}, which is no token id"));
        return [.. ids.Where(id => id >= 0 && id < vocabSize).Select(id => (int)id).Distinct()];
    }

    /// <summary>The id of a field; null where it is none of the vocabulary.</summary>
    public int? TokenId(string name, int vocabSize) => TokenIds(name, vocabSize).Select(id => (int?)id).FirstOrDefault();

    /// <summary>An object in the file; null where it is missing or null.</summary>
    public JsonElement? Section(string name) => Section(root, name);

    /// <summary>An object in another; null where it is missing or null.</summary>
    public JsonElement? Section(JsonElement section, string name) =>
        section.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value.ValueKind == JsonValueKind.Object ? value : throw Error($"has {name} that is no object")
            : null;

    /// <summary>A size.</summary>
    public int Required(string name) => Integer(name) ?? throw Error($"has no {name}");

    /// <summary>A size; null where it is missing.</summary>
    public int? Integer(string name) => Integer(root, name);

    /// <inheritdoc cref="Integer(string)"/>
    public int? Integer(JsonElement section, string name)
    {
        if (Number(section, name) is not { } value) return null;
        // Every whole number here is a size, so zero and below can be refused in one place.
        return value is >= 1 and <= int.MaxValue && value == Math.Floor(value) ? (int)value : throw Error($"has {name} {value}; it must be a whole number of at least 1");
    }

    /// <summary>A finite number; null where it is missing.</summary>
    public double? Number(string name) => Number(root, name);

    /// <inheritdoc cref="Number(string)"/>
    public double? Number(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble()) ? value.GetDouble() : throw Error($"has {name} {value}, which is no number");
    }

    /// <summary>A list of finite positive numbers.</summary>
    public double[] Numbers(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var list) || list.ValueKind != JsonValueKind.Array) throw Error($"has no list {name}");
        return [.. list.EnumerateArray().Select(v => v.ValueKind == JsonValueKind.Number && double.IsFinite(v.GetDouble()) && v.GetDouble() > 0 ? v.GetDouble() : throw Error($"has {v} in {name}, which is no number above 0"))];
    }

    /// <summary>A truth value; null where it is missing.</summary>
    public bool? Flag(string name) => Flag(root, name);

    /// <inheritdoc cref="Flag(string)"/>
    public bool? Flag(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Error($"has {name} {value}, which is neither true nor false");
    }

    /// <summary>A name; null where it is missing. A model of several parts has an object of names, of which that without a part's name counts (and float32 where there is none), as in transformers.</summary>
    public string? Name(string name) => root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? Text(value, string.Empty) ?? "float32" : Text(root, name);

    public string? Text(JsonElement section, string name)
    {
        if (!section.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Error($"has {name} {value}, which is no string");
    }

    private JsonElement[]? Layers(string name, int layers)
    {
        if (!root.TryGetProperty(name, out var list) || list.ValueKind != JsonValueKind.Array) return null;
        return list.GetArrayLength() == layers ? [.. list.EnumerateArray()] : throw Error($"has {list.GetArrayLength()} {name} for {layers} layers");
    }

    public CheckpointException Error(string problem) => new($"{path} {problem}.");
}
