namespace Fossil.Models;

/// <summary>
/// A checkpoint cannot be loaded: a file is missing or malformed, the architecture is not the decoder's, or its tensors are not the model's
/// (<see cref="MissingTensors"/>, <see cref="SurplusTensors"/>, <see cref="WrongShapes"/>).
/// </summary>
public sealed class CheckpointException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public CheckpointException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>Parameters of the model that the checkpoint lacks.</summary>
    public IReadOnlyList<string> MissingTensors { get; init; } = [];

    /// <summary>Tensors of the checkpoint that the model has no parameter for.</summary>
    public IReadOnlyList<string> SurplusTensors { get; init; } = [];

    /// <summary>Tensors whose shape differs from the parameter's.</summary>
    public IReadOnlyList<string> WrongShapes { get; init; } = [];
}
