using System.Text.Json.Nodes;

namespace Fossil.TestData;

/// <summary>The index of the quantised weights (<c>quantised/cases.json</c>).</summary>
public static class GoldenQuantisedCases
{
    private const string None = "(no golden quantised weights)";

    private static readonly Lazy<JsonObject?> Index = new(() => DataFolders.GoldenQuantised is { } folder
        ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsObject()
        : null);

    /// <summary>The block types of GGUF; with <paramref name="onlyWritten"/> those whose quantisation is there too.</summary>
    public static TheoryData<string> Blocks(bool onlyWritten) => Names("blocks", "type", entry => !onlyWritten || (bool)entry["quantised"]!);

    /// <summary>What the index says of a block type; skips the test where there are no data.</summary>
    public static JsonObject Block(string type) => Get("blocks", "type", type);

    /// <summary>The folders of bitsandbytes.</summary>
    public static TheoryData<string> BitsAndBytes() => Names("bitsandbytes", "folder", _ => true);

    /// <summary>The adapters that PEFT trained over a base of four bits; those that it could not are left out.</summary>
    public static TheoryData<string> Adapters() => Names("adapters", "adapter", entry => entry.ContainsKey("last_loss"));

    /// <summary>The files of the split model.</summary>
    public static string[] SplitFiles()
    {
        var folder = DataFolders.RequireGoldenQuantised();
        return [.. Index.Value!["split"]!.AsArray().Select(name => Path.Combine(folder, "split", (string)name!))];
    }

    /// <summary>A file or folder of the data; skips the test where a case has none.</summary>
    public static string PathOf(params string[] parts)
    {
        var folder = DataFolders.RequireGoldenQuantised();
        Skip.If(parts.Contains(None), "The golden data have no such case.");
        return Path.Combine([folder, .. parts]);
    }

    private static TheoryData<string> Names(string list, string key, Func<JsonObject, bool> isWanted)
    {
        var names = new TheoryData<string>();
        foreach (var entry in Entries(list).Where(isWanted)) names.Add((string)entry[key]!);
        if (names.Count == 0) names.Add(None);
        return names;
    }

    private static JsonObject Get(string list, string key, string name)
    {
        DataFolders.RequireGoldenQuantised();
        Skip.If(name == None, "The golden data have no such case.");
        return Entries(list).Single(entry => (string)entry[key]! == name);
    }

    private static IEnumerable<JsonObject> Entries(string list) => Index.Value?[list]!.AsArray().Select(entry => entry!.AsObject()) ?? [];
}
