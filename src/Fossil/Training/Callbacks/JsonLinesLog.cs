using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>
/// Appends each report and evaluation to a file as one line of JSON. A resumed run first drops the lines of the steps that it takes again.
/// </summary>
/// <param name="path">The file.</param>
public sealed partial class JsonLinesLog(string path) : TrainerCallback
{
    /// <inheritdoc/>
    public override void OnTrainBegin(TrainerState state)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
        if (!File.Exists(path)) return;
        var kept = File.ReadLines(path).Where(line => Step(line) is { } step && step <= state.GlobalStep).ToList();
        AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            foreach (var line in kept) writer.WriteLine(line);
        });
    }

    /// <inheritdoc/>
    public override void OnLog(TrainerState state, TrainingLog log) => Append(log, LineJson.Default.TrainingLog);

    /// <inheritdoc/>
    public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) =>
        Append(new EvaluationLine(evaluation.Step, evaluation.Epoch, evaluation.Loss, evaluation.Perplexity, evaluation.Seconds), LineJson.Default.EvaluationLine);

    /// <summary>The step of a line; null where a killed process left half a line.</summary>
    private static int? Step(string line)
    {
        try
        {
            return JsonNode.Parse(line) is JsonObject entry && entry["step"] is JsonValue value && value.TryGetValue(out int step) ? step : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Append<T>(T entry, JsonTypeInfo<T> json) => File.AppendAllText(path, JsonSerializer.Serialize(entry, json) + "\n");

    private sealed record EvaluationLine(int Step, double Epoch, double EvalLoss, double EvalPerplexity, double EvalSeconds);

    /// <summary>The JSON of the lines, without reflection: a trimmed program has none for it.</summary>
    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    [JsonSerializable(typeof(TrainingLog))]
    [JsonSerializable(typeof(EvaluationLine))]
    private sealed partial class LineJson : JsonSerializerContext;
}
