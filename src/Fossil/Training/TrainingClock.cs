using System.Diagnostics;

namespace Fossil.Training;

/// <summary>Speed and memory of a run, between two reports.</summary>
internal sealed class TrainingClock(TrainerState state)
{
    private readonly long began = Stopwatch.GetTimestamp();
    private readonly int firstStep = state.GlobalStep;
    private long reported = Stopwatch.GetTimestamp();
    private long reportedTokens = state.TokensSeen;
    private int reportedStep = state.GlobalStep;

    /// <summary>The report after a step; it takes up the losses that are pending.</summary>
    public TrainingLog Report(TrainerState state, double learningRate, double gradientNorm)
    {
        var now = Stopwatch.GetTimestamp();
        var elapsed = Stopwatch.GetElapsedTime(began, now).TotalSeconds;
        var since = Stopwatch.GetElapsedTime(reported, now).TotalSeconds;
        var log = new TrainingLog(
            state.GlobalStep,
            state.TotalSteps,
            state.Epoch,
            state.PendingLoss / state.PendingSteps,
            learningRate,
            gradientNorm,
            since / (state.GlobalStep - reportedStep),
            (state.TokensSeen - reportedTokens) / since,
            elapsed,
            elapsed / (state.GlobalStep - firstStep) * (state.TotalSteps - state.GlobalStep),
            Environment.WorkingSet);
        (reported, reportedTokens, reportedStep) = (now, state.TokensSeen, state.GlobalStep);
        (state.PendingLoss, state.PendingSteps) = (0, 0);
        return log;
    }
}
