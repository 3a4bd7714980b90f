using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>What a run and its checkpoints need of an optimizer.</summary>
internal interface IOptimizer : IDisposable
{
    /// <summary>The learning rate of all parameters.</summary>
    double LearningRate { get; set; }

    /// <summary>Computes the gradients of a loss, and adds them to those that are there.</summary>
    /// <param name="loss">A scalar.</param>
    void Backward(Tensor loss);

    /// <summary>The parameters, and where their gradients are.</summary>
    IReadOnlyList<GradientPlace> GradientPlaces { get; }

    /// <summary>Takes all gradients out.</summary>
    void zero_grad();

    /// <summary>Multiplies all gradients.</summary>
    void ScaleGradients(double factor);

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="closure">Evaluates the loss anew; optional.</param>
    /// <returns>The closure's loss, or null.</returns>
    Tensor? step(Func<Tensor>? closure = null);

    /// <summary>What a resumed run needs beside the parameters, by names that stay the same from run to run. The caller disposes the tensors.</summary>
    IReadOnlyList<(string Name, Tensor Tensor)> GetState();

    /// <summary>Takes over what <see cref="GetState"/> gave, bit for bit.</summary>
    /// <param name="find">Gives the tensor of a name; it is copied, and disposed here.</param>
    /// <exception cref="ArgumentException">A tensor does not fit its parameter.</exception>
    void SetState(Func<string, Tensor> find);
}

/// <summary>Where a parameter's gradient is.</summary>
/// <param name="Name">The parameter's name.</param>
/// <param name="Parameter">The parameter.</param>
/// <param name="Slot">Its place among others, which it may have left: <see cref="FlatBuffers.Slot.HoldsGradient"/>; null for a parameter that has none.</param>
internal sealed record GradientPlace(string Name, Parameter Parameter, FlatBuffers.Slot? Slot)
{
    /// <summary>Those of any optimizer.</summary>
    public static IReadOnlyList<GradientPlace> Of(optim.Optimizer optimizer) => optimizer is IOptimizer own ? own.GradientPlaces
        : [.. optimizer.parameters().Select((parameter, number) => new GradientPlace($"parameter {number}", parameter, null))];
}
