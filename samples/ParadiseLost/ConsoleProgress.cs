using Fossil.Training;
using Spectre.Console;

/// <summary>A progress bar with loss, speed and time left; plain lines where the output is no terminal.</summary>
internal sealed class ConsoleProgress(int steps) : TrainerCallback, IDisposable
{
    private const int LinesInAll = 10;
    private readonly ManualResetEventSlim ended = new();
    private readonly ProgressWriter lines = new();
    private Task? display;
    private ProgressTask? task;
    private double smoothed = double.NaN;

    private static bool IsTerminal => AnsiConsole.Profile.Capabilities.Interactive && AnsiConsole.Profile.Capabilities.Ansi;

    public override void OnTrainBegin(TrainerState state)
    {
        if (!IsTerminal) return;
        using var started = new ManualResetEventSlim();
        display = Task.Run(() => AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 }, new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                task = context.AddTask("loss  …", maxValue: steps);
                started.Set();
                ended.Wait();
            }));
        started.Wait();
    }

    public override void OnLog(TrainerState state, TrainingLog log)
    {
        smoothed = double.IsNaN(smoothed) ? log.Loss : 0.9 * smoothed + 0.1 * log.Loss;
        if (task is not null)
        {
            task.Description = $"loss {smoothed:f3}  {log.Step * (state.TokensSeen / (double)log.Step) / log.SecondsElapsed,7:n0} tokens/s";
            task.Value = log.Step;
        }
        else if (log.Step % Math.Max(1, steps / LinesInAll) == 0 || log.Step == steps)
        {
            lines.OnLog(state, log);
        }
    }

    public override void OnTrainEnd(TrainerState state)
    {
        ended.Set();
        display?.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        // Also after an exception: the display must give the terminal back.
        OnTrainEnd(new TrainerState());
        ended.Dispose();
    }
}
