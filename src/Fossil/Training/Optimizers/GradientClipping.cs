using Fossil.Concurrency;
using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>Clipping of the gradients of all parameters together (PyTorch: <c>torch.nn.utils.clip_grad_norm_</c>).</summary>
public static class GradientClipping
{
    /// <summary>
    /// Scales all gradients in place so that their common Euclidean norm is at most <paramref name="maxNorm"/>:
    /// by maxNorm / (norm + 1e-6) where that is below one. Parameters without a gradient are left out.
    /// </summary>
    /// <param name="parameters">The parameters whose gradients count.</param>
    /// <param name="maxNorm">The largest norm allowed; 0 or less, or infinity, only measures.</param>
    /// <returns>The norm before clipping; not finite where a gradient is not, and then nothing is scaled.</returns>
    public static double ClipGradNorm(IEnumerable<Parameter> parameters, double maxNorm) => ClipGradNorm(parameters, maxNorm, null);

    /// <summary>As <see cref="ClipGradNorm(IEnumerable{Parameter}, double)"/>, for all parameters of an optimizer, which scales their gradients in one pass.</summary>
    internal static double ClipGradNorm(IEnumerable<Parameter> parameters, double maxNorm, IOptimizer? optimizer)
    {
        var gradients = new List<Tensor>();
        try
        {
            foreach (var parameter in parameters)
            {
                if (parameter.grad is { } gradient) gradients.Add(gradient);
            }

            var norm = Math.Sqrt(gradients.Sum(SquaredNorm));
            var scale = maxNorm / (norm + 1e-6);
            if (maxNorm > 0 && scale < 1 && double.IsFinite(norm))
            {
                if (optimizer is not null) optimizer.ScaleGradients(scale);
                else gradients.ForEach(gradient => gradient.mul_(Scalars.Of(scale)));
            }

            return norm;
        }
        finally
        {
            foreach (var gradient in gradients) gradient.Dispose();
        }
    }

    /// <summary>Summed in float64, so that the norm of many small gradients does not depend on how they are split over parameters.</summary>
    private static double SquaredNorm(Tensor gradient)
    {
        var sum = 0.0;
        if (KernelRegistry.TryRun<ISquaredNorm>(0, [gradient], (kernel, m) => kernel.TryRun(m[0], out sum))) return sum;
        using var scope = NewDisposeScope();
        var wide = gradient.dtype == ScalarType.Float64 ? gradient : gradient.to(ScalarType.Float32);
        return wide.pow(Scalars.Two).sum(ScalarType.Float64).item<double>();
    }
}
