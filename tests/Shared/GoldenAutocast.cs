using System.Text.Json.Nodes;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.TestData;

/// <summary>The index of PEFT's layers under bfloat16 autocast (<c>autocast/cases.json</c>).</summary>
public static class GoldenAutocastCases
{
    private const string None = "(no golden data of autocast)";

    private static readonly Lazy<JsonObject[]> Entries = new(() => DataFolders.GoldenAutocast is { } folder
        ? [.. JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")))!["layers"]!.AsArray().Select(entry => entry!.AsObject())]
        : []);

    /// <summary>The names of all cases.</summary>
    public static TheoryData<string> Names() => Entries.Value.Length == 0 ? [None] : [.. Entries.Value.Select(entry => (string)entry["name"]!)];

    /// <summary>The case of that name; skips the test where there are no data.</summary>
    public static GoldenAutocastLayer Layer(string name)
    {
        DataFolders.RequireGoldenAutocast();
        Skip.If(name == None, "The golden data of autocast have no case.");
        return new GoldenAutocastLayer(Entries.Value.Single(entry => (string)entry["name"]! == name));
    }
}

/// <summary>A linear layer with adapters: <c>layers/NAME.safetensors</c>, with what it is computed from in <c>inputs/INPUTS.safetensors</c>.</summary>
public sealed class GoldenAutocastLayer(JsonObject entry)
{
    private readonly string folder = DataFolders.RequireGoldenAutocast();

    public long InFeatures => (long)entry["in_features"]!;

    public long OutFeatures => (long)entry["out_features"]!;

    public bool HasBias => (bool)entry["bias"]!;

    public ScalarType BaseDtype => Dtype(entry["base_dtype"]!);

    public ScalarType InputDtype => Dtype(entry["x_dtype"]!);

    /// <summary>The adapters' settings as in adapter_config.json, in the order they were added.</summary>
    public IReadOnlyList<KeyValuePair<string, AdapterConfig>> Adapters { get; } =
        [.. entry["adapters"]!.AsObject().Select(pair => KeyValuePair.Create(pair.Key, AdapterConfig.Parse(pair.Value!.ToJsonString()) with { TargetModules = ["proj"] }))];

    /// <summary>The dtype that PEFT gives a tensor under autocast.</summary>
    public ScalarType Dtype(string tensor) => Dtype(entry["dtypes"]![tensor]!);

    /// <summary>PEFT's own distance to the truth under autocast, relative to the largest magnitude.</summary>
    public double DistanceOfPeft(string tensor) => (double)entry["distance"]![tensor]!["autocast"]!;

    public SafetensorsFile OpenInputs() => SafetensorsFile.Open(Path.Combine(folder, "inputs", (string)entry["inputs"]! + ".safetensors"));

    public SafetensorsFile OpenResults() => SafetensorsFile.Open(Path.Combine(folder, "layers", (string)entry["name"]! + ".safetensors"));

    private static ScalarType Dtype(JsonNode name) => (string)name! switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        var other => throw new InvalidDataException($"The dtype {other} is new."),
    };
}
