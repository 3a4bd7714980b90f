using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>One AdamW update of one parameter: by a kernel where one takes it, by libtorch's operations otherwise.</summary>
internal static class AdamWUpdate
{
    /// <summary>Updates <paramref name="parameter"/> and both moments in place.</summary>
    public static void Step(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamWCoefficients coefficients)
    {
        if (!KernelRegistry.TryRun<IAdamW>(0, [parameter, gradient, firstMoment, secondMoment], (kernel, m) => kernel.TryStep(m[0], m[1], m[2], m[3], coefficients)))
            StepByOperations(parameter, gradient, firstMoment, secondMoment, coefficients);
    }

    private static void StepByOperations(Tensor parameter, Tensor gradient, Tensor first, Tensor second, in AdamWCoefficients c)
    {
        using var scope = NewDisposeScope();
        parameter.mul_(Scalars.Of(c.Decay));
        first.mul_(Scalars.Of(c.Beta1)).add_(gradient, alpha: Scalars.Of(1 - c.Beta1));
        second.mul_(Scalars.Of(c.Beta2)).addcmul_(gradient, gradient, value: Scalars.Of(1 - c.Beta2));
        var denominator = second.sqrt().div_(Scalars.Of(c.SecondMomentRoot)).add_(Scalars.Of(c.Epsilon), Scalars.One);
        parameter.addcdiv_(first, denominator, value: Scalars.Of(-c.StepSize));
    }
}
