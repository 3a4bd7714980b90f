using System.Text.Json;
using System.Text.Json.Serialization;

namespace Fossil.Benchmarks;

/// <summary>What one run of all benchmarks measured, on one machine: the file that the tables of the documents are written from.</summary>
/// <param name="Processor">The processor and its caches.</param>
/// <param name="Threads">How many threads libtorch had.</param>
/// <param name="Bandwidth">Bytes that all threads together read from memory in a nanosecond (GB/s).</param>
/// <param name="Commit">The commit that was measured; with + where files were changed.</param>
/// <param name="Date">When.</param>
/// <param name="Command">What was run.</param>
/// <param name="Rows">What was measured.</param>
internal sealed record BenchmarkResults(string Processor, int Threads, double Bandwidth, string Commit, string Date, string Command, IReadOnlyList<BenchmarkRow> Rows)
{
    /// <summary>The file with the figure.</summary>
    [JsonIgnore]
    public string FigureName => string.Join('-', Processor.ToLowerInvariant().Split([.. Processor.ToLowerInvariant().Where(letter => !char.IsAsciiLetterOrDigit(letter))], StringSplitOptions.RemoveEmptyEntries)) + ".png";

    /// <summary>The results in a folder, one file a machine, by the files' names.</summary>
    public static IReadOnlyList<BenchmarkResults> ReadAll(string folder) => [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal).Select(Read)];

    public static BenchmarkResults Read(string path) => JsonSerializer.Deserialize(File.ReadAllBytes(path), BenchmarkResultsJson.Default.BenchmarkResults) ?? throw new InvalidDataException($"{path} holds no results.");

    public void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, BenchmarkResultsJson.Default.BenchmarkResults) + "\n");
}

/// <summary>One thing that was measured, in turn with what it is compared with.</summary>
/// <param name="Group">Which table it belongs to.</param>
/// <param name="Name">What it is.</param>
/// <param name="Unit">The unit of all its numbers but the ratios.</param>
/// <param name="Value">This library.</param>
/// <param name="Base">The same without an adapter; null where that says nothing.</param>
/// <param name="Reference">PEFT's formula, or what else there is, by libtorch's own operations.</param>
/// <param name="Floor">What cannot be done without: products or bytes at the rates that were measured beside it.</param>
/// <param name="Comparisons">What is compared, with its goals.</param>
internal sealed record BenchmarkRow(string Group, string Name, string Unit, Spread Value, Spread? Base, Spread? Reference, Spread? Floor, IReadOnlyList<Comparison> Comparisons)
{
    /// <summary>Whether every goal is met; null where there is none.</summary>
    [JsonIgnore]
    public bool? IsMet => Comparisons.Any(comparison => comparison.Goal is not null) ? Comparisons.All(comparison => comparison.IsMet != false) : null;
}

/// <summary>A ratio of medians.</summary>
/// <param name="Over">What is put in relation.</param>
/// <param name="Ratio">The ratio.</param>
/// <param name="Goal">The largest that is wanted; null for none.</param>
internal sealed record Comparison(string Over, double Ratio, double? Goal)
{
    [JsonIgnore]
    public bool? IsMet => Goal is { } goal ? Ratio <= goal : null;
}

/// <summary>How results are read and written.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BenchmarkResults))]
internal sealed partial class BenchmarkResultsJson : JsonSerializerContext;
