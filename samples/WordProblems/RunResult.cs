using System.Text.Json;
using Fossil.Serialization;

/// <summary>What one method gave with one seed.</summary>
internal sealed record RunResult
{
    public static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public required string Method { get; init; }

    public required int Seed { get; init; }

    public required RunOptions Options { get; init; }

    public required long TrainableParameters { get; init; }

    /// <summary>Seconds that attaching the adapter took.</summary>
    public required double InitSeconds { get; init; }

    /// <summary>The loss of each step.</summary>
    public required double[] Losses { get; init; }

    /// <summary>Largest resident memory of the process up to the end of the training.</summary>
    public required double PeakMemoryGigabytes { get; init; }

    public required int Correct { get; init; }

    public required double HamletPerplexity { get; init; }

    public double ScorePercent => 100.0 * Correct / Options.Questions;

    /// <summary>Mean loss of the last 20 steps; null without training.</summary>
    public double? LastLoss => Losses.Length == 0 ? null : Losses.TakeLast(20).Average();

    public static string PathIn(string folder, string method, int seed) => Path.Combine(folder, $"{method}-seed{seed}", "result.json");

    /// <summary>The result of a finished run; null where there is none.</summary>
    public static RunResult? TryLoad(string folder, string method, int seed, RunOptions options)
    {
        var path = PathIn(folder, method, seed);
        if (!File.Exists(path)) return null;
        var result = JsonSerializer.Deserialize<RunResult>(File.ReadAllBytes(path), Json)!;
        options.CheckSame(result.Options, path);
        return result;
    }

    public void Save(string folder) => AtomicFile.Write(PathIn(folder, Method, Seed), stream => JsonSerializer.Serialize(stream, this, Json));
}
