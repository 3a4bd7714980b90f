using System.Text.Json.Nodes;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.TestData;

/// <summary>The index of PEFT's VeRA and IA3 (<c>methods/cases.json</c>).</summary>
public static class GoldenMethodsCases
{
    private const string None = "(no golden data of VeRA and IA3)";

    private static readonly Lazy<JsonObject?> Index = new(() => DataFolders.GoldenMethods is { } folder
        ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsObject()
        : null);

    /// <summary>The layers whose adapters are of that method.</summary>
    public static TheoryData<string> Layers(string peftType) => Named(Entries("layers").Select(entry => new GoldenMethodsLayer(entry)).Where(layer => layer.Is(peftType)).Select(layer => layer.Name));

    /// <summary>The groups of layers that were attached together.</summary>
    public static TheoryData<string> Groups() => Named(Entries("layers").Select(entry => (string)entry["group"]!).Distinct());

    /// <summary>The trained adapters.</summary>
    public static TheoryData<string, string> Adapters()
    {
        var names = new TheoryData<string, string>();
        foreach (var entry in Entries("models")) names.Add((string)entry["model"]!, (string)entry["adapter"]!);
        if (names.Count == 0) names.Add(None, None);
        return names;
    }

    /// <summary>The layer of that name, with all that were attached with it; skips the test where there are no data.</summary>
    public static (GoldenMethodsLayer Layer, IReadOnlyList<GoldenMethodsLayer> Group) Layer(string name)
    {
        Require(name);
        var layer = Entries("layers").Select(entry => new GoldenMethodsLayer(entry)).Single(entry => entry.Name == name);
        return (layer, Group(layer.Group));
    }

    /// <summary>The layers that were attached together.</summary>
    public static IReadOnlyList<GoldenMethodsLayer> Group(string group)
    {
        Require(group);
        return [.. Entries("layers").Select(entry => new GoldenMethodsLayer(entry)).Where(entry => entry.Group == group)];
    }

    /// <summary>The trained adapter of that name; skips the test where there are no data.</summary>
    public static GoldenMethodsAdapter Adapter(string model, string name)
    {
        Require(name);
        return new(Entries("models").Single(entry => (string)entry["model"]! == model && (string)entry["adapter"]! == name));
    }

    private static void Require(string name)
    {
        DataFolders.RequireGoldenMethods();
        Skip.If(name == None, "The golden data have no such case.");
    }

    private static TheoryData<string> Named(IEnumerable<string> names)
    {
        TheoryData<string> data = [.. names];
        if (data.Count == 0) data.Add(None);
        return data;
    }

    private static IEnumerable<JsonObject> Entries(string list) => Index.Value?[list]!.AsArray().Select(entry => entry!.AsObject()) ?? [];
}

/// <summary>One linear layer with adapters: <c>layers/NAME.safetensors</c>.</summary>
public sealed class GoldenMethodsLayer(JsonObject entry)
{
    public string Name => (string)entry["name"]!;

    public string Group => (string)entry["group"]!;

    public string Linear => (string)entry["linear"]!;

    public long InFeatures => (long)entry["in_features"]!;

    public long OutFeatures => (long)entry["out_features"]!;

    public bool HasBias => (bool)entry["bias"]!;

    public ScalarType BaseDtype => (string)entry["base_dtype"]! == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32;

    /// <summary>The adapters on this linear, as in adapter_config.json, in the order they were added.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonObject>> Adapters { get; } = [.. entry["adapters"]!.AsObject().Select(pair => KeyValuePair.Create(pair.Key, pair.Value!.AsObject()))];

    /// <summary>Names and shapes of what PEFT saves for each adapter of the group.</summary>
    public IReadOnlyDictionary<string, Dictionary<string, long[]>> Saved { get; } = entry["saved"]!.AsObject().ToDictionary(
        adapter => adapter.Key, adapter => adapter.Value!.AsObject().ToDictionary(pair => pair.Key, pair => pair.Value!.AsArray().Select(size => (long)size!).ToArray()));

    public bool Is(string peftType) => Adapters.All(adapter => (string)adapter.Value["peft_type"]! == peftType);

    public AdapterConfig Config(string adapter)
    {
        var settings = Adapters.Single(pair => pair.Key == adapter).Value.DeepClone().AsObject();

        // What PEFT made of feedforward_modules, no field of its own.
        settings.Remove("feedforward");
        return AdapterConfig.Parse(settings.ToJsonString());
    }

    public SafetensorsFile Open() => SafetensorsFile.Open(Path.Combine(DataFolders.RequireGoldenMethods(), "layers", Name + ".safetensors"));
}

/// <summary>A trained adapter of one of the main set's tiny checkpoints: <c>models/MODEL/adapters/NAME/</c>.</summary>
public sealed class GoldenMethodsAdapter(JsonObject entry)
{
    public string Model => (string)entry["model"]!;

    public string ModelFolder => Path.Combine(DataFolders.RequireGolden(), "models", Model);

    public string Folder => Path.Combine(DataFolders.RequireGoldenMethods(), "models", Model, "adapters", (string)entry["adapter"]!);

    public double LearningRate => (double)entry["learning_rate"]!;

    /// <summary>The names of what is trained, as the model here has them.</summary>
    public IReadOnlyList<string> TrainableNames { get; } = [.. entry["trainable_names"]!.AsArray().Select(name => ((string)name!)["base_model.model.".Length..])];

    public long TrainableParameters => (long)entry["trainable_parameters"]!;

    /// <summary>Names and shapes in the file.</summary>
    public IReadOnlyDictionary<string, long[]> Saved { get; } = entry["saved"]!.AsObject().ToDictionary(pair => pair.Key, pair => pair.Value!.AsArray().Select(size => (long)size!).ToArray());

    public SafetensorsFile OpenReference() => SafetensorsFile.Open(Path.Combine(Folder, "reference.safetensors"));
}
