using System.Text.Json.Nodes;
using Fossil.Serialization;

namespace Fossil.TestData;

/// <summary>The index of the adapters on a model whose output layer shares the embedding's weight (<c>tied/cases.json</c>).</summary>
public static class GoldenTiedCases
{
    private const string None = "(no golden data of tied weights)";

    private static readonly Lazy<JsonObject?> Index = new(() => DataFolders.GoldenTied is { } folder
        ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsObject()
        : null);

    /// <summary>The names of the cases.</summary>
    public static TheoryData<string> Names()
    {
        var names = new TheoryData<string>();
        foreach (var entry in Entries()) names.Add((string)entry["name"]!);
        if (names.Count == 0) names.Add(None);
        return names;
    }

    /// <summary>The case of that name; skips the test where there are no data.</summary>
    public static GoldenTiedCase Get(string name)
    {
        DataFolders.RequireGoldenTied();
        Skip.If(name == None, "The golden data have no such case.");
        return new GoldenTiedCase(Entries().Single(entry => (string)entry["name"]! == name));
    }

    private static IEnumerable<JsonObject> Entries() => Index.Value?["cases"]!.AsArray().Select(entry => entry!.AsObject()) ?? [];
}

/// <summary>An adapter that PEFT trained for ten steps: <c>tied/adapters/NAME/</c>.</summary>
public sealed class GoldenTiedCase(JsonObject entry)
{
    private const string Prefix = "base_model.model.";

    public string Name => (string)entry["name"]!;

    public string Folder => Path.Combine(DataFolders.RequireGoldenTied(), "adapters", Name);

    /// <summary>The base: one of the main set's models.</summary>
    public string ModelFolder
    {
        get
        {
            var named = AdapterConfig.Load(Folder).BaseModelNameOrPath!;
            return Path.Combine(DataFolders.RequireGolden(), "models", Path.GetFileName(named));
        }
    }

    /// <summary>What is asked for.</summary>
    public AdapterConfig Config() => AdapterConfig.Load(Folder) with { InferenceMode = false };

    /// <summary>What PEFT trains beside the projections of the layers, by its name in the model here, with its shape.</summary>
    public IReadOnlyDictionary<string, long[]> Trained { get; } = entry["trained"]!.AsObject().ToDictionary(
        pair => pair.Key[Prefix.Length..].Replace(".modules_to_save.default", string.Empty, StringComparison.Ordinal), pair => pair.Value!.AsArray().Select(size => (long)size!).ToArray());

    /// <summary>The keys that PEFT saves beside those of the layers.</summary>
    public IReadOnlyList<string> Saved { get; } = Strings(entry["saved"]);

    /// <summary>Whether PEFT says that the result may be surprising.</summary>
    public bool Warns => (bool)entry["warns"]!;

    /// <summary>Whether both ends of the model are still one matrix when the adapter is merged: not where the output layer has an adapter, whatever PEFT's wrong merge says.</summary>
    public bool IsTiedWhenMerged => (bool)entry["merged_saved_tie_word_embeddings"]! && !Trained.Keys.Any(name => name.StartsWith("lm_head.", StringComparison.Ordinal));

    public SafetensorsFile OpenReference() => SafetensorsFile.Open(Path.Combine(Folder, "reference.safetensors"));

    private static string[] Strings(JsonNode? list) => [.. list!.AsArray().Select(item => (string)item!)];
}
