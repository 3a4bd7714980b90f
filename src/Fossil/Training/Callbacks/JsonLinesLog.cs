using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>
/// Appends each report and evaluation to a file as one line of JSON. A resumed run first drops the lines of the steps that it takes again.
/// </summary>
/// <param name="path">The file.</param>
public sealed class JsonLinesLog(string path) : TrainerCallback
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };


    /// <inheritdoc/>
    public override void OnTrainBegin(TrainerState state)
    {
        if (!File.Exists(path)) return;
        var kept = File.ReadLines(path).Where(line => Step(line) is { } step && step <= state.GlobalStep).ToList();
        AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            foreach (var line in kept) writer.WriteLine(line);
        });
    }

    /// <inheritdoc/>
    public override void OnLog(TrainerState state, TrainingLog log) => Append(log);

    /// <inheritdoc/>
    public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) => Append(new
    {
        evaluation.Step,
        evaluation.Epoch,
        EvalLoss = evaluation.Loss,
        EvalPerplexity = evaluation.Perplexity,
        EvalSeconds = evaluation.Seconds,
    });

    /// <summary>The step of a line; null where a killed process left half a line.</summary>
    private static int? Step(string line)
    {
        try
        {
            return (int?)JsonNode.Parse(line)?["step"];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Append<T>(T entry) => File.AppendAllText(path, JsonSerializer.Serialize(entry, Options) + "\n");
}
