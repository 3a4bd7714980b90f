using System.Diagnostics;

namespace Fossil.Training;

/// <summary>Speed and memory of a run, between two reports.</summary>
internal sealed class TrainingClock(TrainerState state)
{
    private readonly long began = Stopwatch.GetTimestamp();
    private readonly int firstStep = state.GlobalStep;
    private long reported = Stopwatch.GetTimestamp();
    private long reportedTokens = state.TokensSeen;

    /// <summary>The report after a step; it takes up the losses that are pending.</summary>
    public TrainingLog Report(TrainerState state, double learningRate, double gradientNorm)
    {
        var now = Stopwatch.GetTimestamp();
        var elapsed = Stopwatch.GetElapsedTime(began, now).TotalSeconds;
        var log = new TrainingLog(
            state.GlobalStep,
            state.TotalSteps,
            state.Epoch,
            state.PendingLoss / state.PendingSteps,
            learningRate,
            gradientNorm,
            (state.TokensSeen - reportedTokens) / Stopwatch.GetElapsedTime(reported, now).TotalSeconds,
            elapsed,
            elapsed / (state.GlobalStep - firstStep) * (state.TotalSteps - state.GlobalStep),
            Environment.WorkingSet);
        (reported, reportedTokens) = (now, state.TokensSeen);
        (state.PendingLoss, state.PendingSteps) = (0, 0);
        return log;
    }
}
