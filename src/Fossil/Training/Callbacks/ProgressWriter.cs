using System.Globalization;

namespace Fossil.Training;

/// <summary>Writes one line for each report and evaluation.</summary>
/// <param name="output">Where to; null is the console.</param>
/// <param name="every">Writes only the reports of steps that are multiples of it, and the last.</param>
public sealed class ProgressWriter(TextWriter? output = null, int every = 1) : TrainerCallback
{
    private readonly TextWriter output = output ?? Console.Out;

    /// <inheritdoc/>
    public override void OnLog(TrainerState state, TrainingLog log)
    {
        if (log.Step % every != 0 && log.Step != log.TotalSteps) return;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"step {log.Step}/{log.TotalSteps}  loss {log.Loss:F4}  lr {log.LearningRate:G4}  {log.TokensPerSecond:F0} tokens/s  {Duration(log.SecondsLeft)} left  {log.MemoryBytes / 1e9:F2} GB"));
    }

    /// <inheritdoc/>
    public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) => output.WriteLine(string.Create(
        CultureInfo.InvariantCulture, $"step {evaluation.Step}/{state.TotalSteps}  evaluation loss {evaluation.Loss:F4}  perplexity {evaluation.Perplexity:F2}"));

    private static string Duration(double seconds) => TimeSpan.FromSeconds(Math.Ceiling(seconds)).ToString("c", CultureInfo.InvariantCulture);
}
