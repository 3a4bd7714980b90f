namespace Fossil.Training;

/// <summary>One report of a run.</summary>
/// <param name="Step">Steps taken.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
/// <param name="Epoch">Passes over the data so far.</param>
/// <param name="Loss">Mean loss of the steps since the last report; NaN where all were skipped.</param>
/// <param name="LearningRate">Learning rate of the last step.</param>
/// <param name="GradientNorm">Norm of the gradients of the last step, before clipping.</param>
/// <param name="StepSeconds">Seconds a step, since the last report.</param>
/// <param name="TokensPerSecond">Tokens without padding per second, since the last report.</param>
/// <param name="SecondsElapsed">Seconds since the run, or its resumption, began.</param>
/// <param name="SecondsLeft">Seconds that the rest takes at the mean speed so far.</param>
/// <param name="MemoryBytes">Resident memory of the process.</param>
public sealed record TrainingLog(
    int Step, int TotalSteps, double Epoch, double Loss, double LearningRate, double GradientNorm,
    double StepSeconds, double TokensPerSecond, double SecondsElapsed, double SecondsLeft, long MemoryBytes);

/// <summary>One evaluation.</summary>
/// <param name="Step">Steps taken.</param>
/// <param name="Epoch">Passes over the data so far.</param>
/// <param name="Loss">Mean loss over all items of the evaluation data.</param>
/// <param name="Seconds">Seconds that it took.</param>
public sealed record EvaluationLog(int Step, double Epoch, double Loss, double Seconds)
{
    /// <summary>e to the power of the loss.</summary>
    public double Perplexity => Math.Exp(Loss);
}

/// <summary>Where a run stands; all of it is in each checkpoint.</summary>
public sealed class TrainerState
{
    /// <summary>Optimizer steps taken, skipped ones included.</summary>
    public int GlobalStep { get; set; }

    /// <summary>Steps of the whole run.</summary>
    public int TotalSteps { get; set; }

    /// <summary>Steps of one pass over the data.</summary>
    public int StepsPerEpoch { get; set; }

    /// <summary>Tokens that the model has read.</summary>
    public long TokensSeen { get; set; }

    /// <summary>Steps that were left out: a number was not finite, or nothing of their data counts in the loss.</summary>
    public int SkippedSteps { get; set; }

    /// <summary>Sum of the losses since the last report.</summary>
    public double PendingLoss { get; set; }

    /// <summary>How many losses that is.</summary>
    public int PendingSteps { get; set; }

    /// <summary>The lowest evaluation loss.</summary>
    public double? BestLoss { get; set; }

    /// <summary>The step of the lowest evaluation loss.</summary>
    public int? BestStep { get; set; }

    /// <summary>Evaluations since the last improvement.</summary>
    public int EvaluationsWithoutImprovement { get; set; }

    /// <summary>All reports so far.</summary>
    public List<TrainingLog> Logs { get; init; } = [];

    /// <summary>All evaluations so far.</summary>
    public List<EvaluationLog> Evaluations { get; init; } = [];

    /// <summary>Passes over the data so far.</summary>
    public double Epoch => StepsPerEpoch == 0 ? 0 : (double)GlobalStep / StepsPerEpoch;
}

/// <summary>How a run ended.</summary>
public enum TrainingOutcome
{
    /// <summary>All steps were taken.</summary>
    Completed,

    /// <summary>The evaluation loss no longer fell.</summary>
    EarlyStopped,

    /// <summary>The caller or a callback asked for it; a checkpoint was written, so the run can be resumed.</summary>
    Cancelled,
}

/// <summary>What a run leaves.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="State">Where it stands, with all reports and evaluations.</param>
/// <param name="LastCheckpoint">The newest checkpoint's folder; null where nothing is written.</param>
public sealed record TrainingResult(TrainingOutcome Outcome, TrainerState State, string? LastCheckpoint);
