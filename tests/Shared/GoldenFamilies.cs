using System.Text.Json.Nodes;
using Fossil.Serialization;

namespace Fossil.TestData;

/// <summary>Model families with adapters that PEFT trained: <c>cases.json</c> of the folder of families.</summary>
public static class GoldenFamilies
{
    private const string None = "(no golden families)";

    private static readonly Lazy<JsonArray?> Index = new(() => DataFolders.GoldenFamilies is { } folder ? JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!.AsArray() : null);

    /// <summary>The names of all decoders.</summary>
    public static TheoryData<string> Decoders()
    {
        var names = new TheoryData<string>();
        foreach (var entry in Entries()) names.Add((string)entry["name"]!);
        if (names.Count == 0) names.Add(None);
        return names;
    }

    /// <summary>Decoder and method of all adapters.</summary>
    public static TheoryData<string, string> Adapters()
    {
        var names = new TheoryData<string, string>();
        foreach (var entry in Entries())
        {
            foreach (var adapter in entry["adapters"]!.AsArray()) names.Add((string)entry["name"]!, (string)adapter!["method"]!);
        }

        if (names.Count == 0) names.Add(None, None);
        return names;
    }

    /// <summary>The folder of a decoder; skips the test where there are no data, or where the library does not have its class.</summary>
    /// <param name="name">The decoder.</param>
    /// <param name="isKnown">Whether the library has a class of Hugging Face's name.</param>
    public static string Open(string name, Func<string, bool> isKnown)
    {
        var folder = DataFolders.RequireGoldenFamilies();
        Skip.If(name == None, "The golden families have no such case.");
        var type = (string)Entries().Single(entry => (string)entry["name"]! == name)["class"]!;
        Skip.IfNot(isKnown(type), $"The library has no {type}.");
        return Path.Combine(folder, "decoders", name);
    }

    /// <summary>What transformers or PEFT computed, beside a model or an adapter.</summary>
    public static SafetensorsFile Reference(string folder) => SafetensorsFile.Open(Path.Combine(folder, "reference.safetensors"));

    private static IEnumerable<JsonNode> Entries() => Index.Value?.Where(entry => (string)entry!["part"]! == "decoders").Select(entry => entry!) ?? [];
}
