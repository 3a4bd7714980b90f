using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>One AdamW update of one parameter, in a single pass over memory and with the roundings of libtorch's operations in their order.</summary>
internal interface IAdamW
{
    /// <summary>Updates the parameter and both moments in place.</summary>
    bool TryStep(in KernelMatrix parameter, in KernelMatrix gradient, in KernelMatrix firstMoment, in KernelMatrix secondMoment, in AdamWCoefficients coefficients);
}

/// <summary>What is the same for every element of one step.</summary>
internal readonly record struct AdamWCoefficients(double LearningRate, double Beta1, double Beta2, double Epsilon, double WeightDecay, long Step)
{
    public double Decay => 1 - LearningRate * WeightDecay;

    public double StepSize => LearningRate / (1 - Math.Pow(Beta1, Step));

    public double SecondMomentRoot => Math.Sqrt(1 - Math.Pow(Beta2, Step));
}
