using System.Text.Json.Nodes;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.TestData;

/// <summary>Where the reference data lie: the folder that an environment variable names, or <c>shared/…</c> beside the repository.</summary>
public static class DataFolders
{
    /// <summary>PEFT's own results (FOSSIL_GOLDEN); null where there are none.</summary>
    public static string? Golden { get; } = Find("FOSSIL_GOLDEN", "golden");

    /// <summary>Real models (FOSSIL_MODELS); null where there are none.</summary>
    public static string? Models { get; } = Find("FOSSIL_MODELS", "models");

    /// <summary>The golden folder; skips the test where there is none.</summary>
    public static string RequireGolden() => Require(Golden, "No golden data: set FOSSIL_GOLDEN to their folder.");

    /// <summary>The models' folder; skips the test where there is none.</summary>
    public static string RequireModels() => Require(Models, "No models: set FOSSIL_MODELS to their folder.");

    /// <summary>transformers' own chat renderings (FOSSIL_GOLDEN_CHAT); null where there are none.</summary>
    public static string? GoldenChat { get; } = Find("FOSSIL_GOLDEN_CHAT", Path.Combine("golden", "chat"));

    /// <summary>The folder of chat renderings; skips the test where there is none.</summary>
    public static string RequireGoldenChat() => Require(GoldenChat, "No golden chats: set FOSSIL_GOLDEN_CHAT to their folder.");

    /// <summary>Quantised weights (FOSSIL_GOLDEN_QUANTISED); null where there are none.</summary>
    public static string? GoldenQuantised { get; } = Find("FOSSIL_GOLDEN_QUANTISED", Path.Combine("golden", "quantised"));

    /// <summary>The folder of the quantised weights; skips the test where there is none.</summary>
    public static string RequireGoldenQuantised() => Require(GoldenQuantised, "No golden quantised weights: set FOSSIL_GOLDEN_QUANTISED to their folder.");

    /// <summary>Published tokenizers (FOSSIL_GOLDEN_TOKENIZERS); null where there are none.</summary>
    public static string? GoldenTokenizers { get; } = Find("FOSSIL_GOLDEN_TOKENIZERS", Path.Combine("golden", "tokenizers"));

    /// <summary>The folder of the published tokenizers; skips the test where there is none.</summary>
    public static string RequireGoldenTokenizers() => Require(GoldenTokenizers, "No golden tokenizers: set FOSSIL_GOLDEN_TOKENIZERS to their folder.");

    /// <summary>Adapters on a model with tied weights (FOSSIL_GOLDEN_TIED); null where there are none.</summary>
    public static string? GoldenTied { get; } = Find("FOSSIL_GOLDEN_TIED", Path.Combine("golden", "tied"));

    /// <summary>The folder of the tied weights; skips the test where there is none.</summary>
    public static string RequireGoldenTied() => Require(GoldenTied, "No golden data of tied weights: set FOSSIL_GOLDEN_TIED to their folder.");

    /// <summary>PEFT's VeRA and IA3 (FOSSIL_GOLDEN_METHODS); null where there are none.</summary>
    public static string? GoldenMethods { get; } = Find("FOSSIL_GOLDEN_METHODS", Path.Combine("golden", "methods"));

    /// <summary>The folder of VeRA and IA3; skips the test where there is none.</summary>
    public static string RequireGoldenMethods() => Require(GoldenMethods, "No golden data of VeRA and IA3: set FOSSIL_GOLDEN_METHODS to their folder.");

    /// <summary>More model families (FOSSIL_GOLDEN_FAMILIES); null where there are none.</summary>
    public static string? GoldenFamilies { get; } = Find("FOSSIL_GOLDEN_FAMILIES", Path.Combine("golden", "families"));

    /// <summary>The folder of families; skips the test where there is none.</summary>
    public static string RequireGoldenFamilies() => Require(GoldenFamilies, "No golden families: set FOSSIL_GOLDEN_FAMILIES to their folder.");

    /// <summary>PEFT's layers under bfloat16 autocast (FOSSIL_GOLDEN_AUTOCAST); null where there are none.</summary>
    public static string? GoldenAutocast { get; } = Find("FOSSIL_GOLDEN_AUTOCAST", Path.Combine("golden", "autocast"));

    /// <summary>The folder of layers under autocast; skips the test where there is none.</summary>
    public static string RequireGoldenAutocast() => Require(GoldenAutocast, "No golden data of autocast: set FOSSIL_GOLDEN_AUTOCAST to their folder.");

    private static string Require(string? folder, string reason)
    {
        Skip.If(folder is null, reason);
        return folder!;
    }

    private static string? Find(string variable, string name)
    {
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } named) return named;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", name);
            if (Directory.Exists(candidate)) return candidate;
        }

        return null;
    }
}

/// <summary>The index of the golden data, <c>cases.json</c>.</summary>
public static class GoldenCases
{
    // Data of a theory must not fail to be listed: without golden data it is one line, whose test then skips.
    private const string None = "(no golden data)";

    private static readonly Lazy<JsonObject?> Index = new(() => DataFolders.Golden is { } folder
        ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsObject()
        : null);

    /// <summary>Names of the layer cases that <paramref name="choose"/> accepts.</summary>
    public static TheoryData<string> LayerNames(Func<GoldenLayer, bool>? choose = null)
    {
        var names = new TheoryData<string>();
        foreach (var entry in Entries("layers").Select(entry => new GoldenLayer(entry)))
        {
            if (choose is null || choose(entry)) names.Add(entry.Name);
        }

        if (names.Count == 0) names.Add(None);
        return names;
    }

    /// <summary>Architecture and name of the trained adapters that <paramref name="choose"/> accepts.</summary>
    public static TheoryData<string, string> AdapterNames(Func<GoldenAdapter, bool>? choose = null)
    {
        var names = new TheoryData<string, string>();
        foreach (var entry in Entries("models").Select(entry => new GoldenAdapter(entry)))
        {
            if (choose is null || choose(entry)) names.Add(entry.Model, entry.Name);
        }

        if (names.Count == 0) names.Add(None, None);
        return names;
    }

    /// <summary>The layer case of that name; skips the test where there are no data.</summary>
    public static GoldenLayer Layer(string name)
    {
        DataFolders.RequireGolden();
        Skip.If(name == None, "The golden data have no such case.");
        return new GoldenLayer(Entries("layers").Single(entry => (string)entry["name"]! == name));
    }

    /// <summary>The trained adapter of that name; skips the test where there are no data.</summary>
    public static GoldenAdapter Adapter(string model, string name)
    {
        DataFolders.RequireGolden();
        Skip.If(name == None, "The golden data have no such case.");
        return new GoldenAdapter(Entries("models").Single(entry => (string)entry["model"]! == model && (string)entry["adapter"]! == name));
    }

    private static IEnumerable<JsonObject> Entries(string list) => Index.Value?[list]!.AsArray().Select(entry => entry!.AsObject()) ?? [];
}

/// <summary>One linear layer with adapters: <c>layers/NAME.safetensors</c>.</summary>
public sealed class GoldenLayer(JsonObject entry)
{
    public string Name => (string)entry["name"]!;

    public long InFeatures => (long)entry["in_features"]!;

    public long OutFeatures => (long)entry["out_features"]!;

    public bool HasBias => (bool)entry["bias"]!;

    public ScalarType BaseDtype => (string)entry["base_dtype"]! switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        var other => throw new InvalidDataException($"{Name}: base_dtype {other} is new."),
    };

    /// <summary>The adapters' settings as in adapter_config.json, in the order they were added.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonObject>> Adapters { get; } =
        [.. entry["adapters"]!.AsObject().Select(pair => KeyValuePair.Create(pair.Key, pair.Value!.AsObject()))];

    /// <summary>Whether every adapter is of that <c>peft_type</c>.</summary>
    public bool Is(string peftType) => Adapters.All(adapter => (string)adapter.Value["peft_type"]! == peftType);

    /// <summary>The settings of an adapter as a configuration.</summary>
    public AdapterConfig Config(string adapter) => AdapterConfig.Parse(Adapters.Single(pair => pair.Key == adapter).Value.ToJsonString());

    public SafetensorsFile Open() => SafetensorsFile.Open(Path.Combine(DataFolders.RequireGolden(), "layers", Name + ".safetensors"));

    public override string ToString() => Name;
}

/// <summary>A trained adapter of a tiny checkpoint: <c>models/MODEL/adapters/NAME/</c>.</summary>
public sealed class GoldenAdapter(JsonObject entry)
{
    public string Model => (string)entry["model"]!;

    public string Name => (string)entry["adapter"]!;

    public long TrainableParameters => (long)entry["trainable_parameters"]!;

    public IReadOnlyList<string> TrainableNames { get; } = [.. entry["trainable_names"]!.AsArray().Select(name => (string)name!)];

    public string ModelFolder => Path.Combine(DataFolders.RequireGolden(), "models", Model);

    public string Folder => Path.Combine(ModelFolder, "adapters", Name);

    public string ConfigFile => Path.Combine(Folder, "adapter_config.json");

    public string WeightsFile => Path.Combine(Folder, "adapter_model.safetensors");

    public AdapterConfig Config() => AdapterConfig.Load(Folder);

    public SafetensorsFile OpenReference() => SafetensorsFile.Open(Path.Combine(Folder, "reference.safetensors"));

    public override string ToString() => $"{Model}/{Name}";
}

/// <summary>The distances that the golden data's README speaks of.</summary>
public static class Distance
{
    /// <summary>The largest absolute difference, relative to the largest magnitude of <paramref name="truth"/>.</summary>
    public static double Relative(Tensor actual, Tensor truth)
    {
        Assert.Equal(truth.shape, actual.shape);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var exact = truth.to(ScalarType.Float64);
        if (exact.numel() == 0) return 0;
        var largest = exact.abs().max().item<double>();
        var difference = (actual.to(ScalarType.Float64) - exact).abs().max().item<double>();
        return largest == 0 ? difference : difference / largest;
    }
}

/// <summary>A folder that is deleted with the test.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("fossil-test-").FullName;

    /// <summary>A path in the folder.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
