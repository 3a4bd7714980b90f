namespace Fossil.Training;

/// <summary>The base of what can go wrong in a training run.</summary>
public abstract class TrainingException(string message, Exception? innerException = null) : FossilException(message, innerException);

/// <summary>An option of <see cref="TrainingArguments"/> is out of range, or asks for what the model or the data cannot do.</summary>
public sealed class TrainingArgumentException(string message) : TrainingException(message);

/// <summary>A line of a data file cannot be used.</summary>
/// <param name="path">The file.</param>
/// <param name="line">The line, from 1; 0 for the file as a whole.</param>
/// <param name="reason">What is wrong and what is expected.</param>
/// <param name="innerException">What the reader said.</param>
/// <param name="unit">What <paramref name="line"/> counts: lines, or rows of a file without lines.</param>
public sealed class TrainingDataException(string path, long line, string reason, Exception? innerException = null, string unit = "line")
    : TrainingException(line > 0 ? $"{path}, {unit} {line}: {reason}" : $"{path}: {reason}", innerException)
{
    /// <summary>The file.</summary>
    public string Path { get; } = path;

    /// <summary>The line, or the row of a file without lines, from 1; 0 for the file as a whole.</summary>
    public long Line { get; } = line;
}

/// <summary>The loss or the norm of the gradients of a step is not a finite number. The parameters are as they were before the step.</summary>
/// <param name="step">The step, from 1.</param>
/// <param name="what">What is not finite.</param>
/// <param name="lastCheckpoint">The last checkpoint that was written.</param>
public sealed class NonFiniteLossException(int step, string what, string? lastCheckpoint)
    : TrainingException(
        $"Step {step}: {what}. The step was not applied" + (lastCheckpoint is null ? "" : $"; the last checkpoint is {lastCheckpoint}")
        + $". Lower the learning rate, look at the data of this step, or leave such steps out with {nameof(TrainingArguments)}.{nameof(TrainingArguments.OnNonFiniteLoss)} = {nameof(NonFiniteLossAction)}.{nameof(NonFiniteLossAction.Skip)}.")
{
    /// <summary>The step, from 1.</summary>
    public int Step { get; } = step;

    /// <summary>The last checkpoint that was written; null where there is none.</summary>
    public string? LastCheckpoint { get; } = lastCheckpoint;
}

/// <summary>A checkpoint could not be written. The ones before it are untouched.</summary>
public sealed class CheckpointWriteException : TrainingException
{
    private const string Advice = "Make room or choose another folder.";

    /// <summary>Nothing was written.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="reason">What the file system said.</param>
    /// <param name="lastCheckpoint">The last checkpoint that was written.</param>
    /// <param name="innerException">The file system's exception.</param>
    public CheckpointWriteException(string folder, string reason, string? lastCheckpoint, Exception innerException)
        : base(
            $"{folder} could not be written: {reason} " + (lastCheckpoint is null ? "No checkpoint was written before." : $"Nothing of {lastCheckpoint} was touched; resume from there.") + $" {Advice}",
            innerException) => LastCheckpoint = lastCheckpoint;

    /// <summary>The checkpoint is complete, but not as it should be.</summary>
    internal CheckpointWriteException(string folder, Serialization.UnfinishedCommitException unfinished)
        : base($"{folder} is complete, but {(unfinished.IsNamed ? "a power failure may take it back" : "gets its name only when the run is resumed")}: {unfinished.Message} {Advice}", unfinished.InnerException) => LastCheckpoint = folder;

    /// <summary>The last checkpoint that was written; null where there is none.</summary>
    public string? LastCheckpoint { get; }
}

/// <summary>The output folder cannot be used.</summary>
public sealed class OutputDirectoryException(string message, Exception? innerException = null) : TrainingException(message, innerException);

/// <summary>A checkpoint is incomplete, damaged, or of another kind of run.</summary>
public sealed class CheckpointReadException(string message, Exception? innerException = null) : TrainingException(message, innerException);

/// <summary>The run that is to be resumed had other data or other options that decide which data each step sees.</summary>
public sealed class ResumeMismatchException(string message) : TrainingException(message);

/// <summary>An optimizer step found no gradient on any of its parameters.</summary>
public sealed class NoGradientException(string message) : TrainingException(message);

/// <summary>The state of an optimizer does not fit its parameters.</summary>
public sealed class OptimizerStateException(string message) : TrainingException(message);

/// <summary>A loss would be a mean over nothing: no item of a batch, or of all data, counts in it.</summary>
public sealed class NoLossItemsException(string message) : TrainingException(message);
