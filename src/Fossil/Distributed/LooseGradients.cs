using Fossil.CompilerServices;
using Fossil.Concurrency;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>
/// Gradients that lie here and there, in any dtype: they are copied one behind the other to be summed, and back. Behind them stands for each how many ranks have one.
/// </summary>
/// <param name="parameters">The parameters.</param>
/// <param name="isDouble">Whether the sums are made in float64; else in float32.</param>
/// <param name="memory">What they are summed in.</param>
/// <param name="device">The same for libtorch.</param>
internal sealed class LooseGradients(IReadOnlyList<Parameter> parameters, bool isDouble, IReductionMemory memory, Device device) : IDisposable
{
    private readonly Tensor gradients = zeros(parameters.Sum(parameter => parameter.numel()) + parameters.Count, isDouble ? ScalarType.Float64 : ScalarType.Float32, device).DetachFromDisposeScope();

    /// <summary>How many numbers are summed.</summary>
    public long Elements => gradients.numel();

    /// <summary>Whether they are float64.</summary>
    public bool IsDouble => isDouble;

    /// <summary>What they are summed in.</summary>
    public IReductionMemory Memory => memory;

    /// <summary>Where they are.</summary>
    public nint Address => NativeTensor.Data(gradients);

    /// <summary>Copies the gradients there.</summary>
    public void Pack() => ForEach((parameter, place, count) =>
    {
        using var gradient = parameter.grad;
        if (gradient is null) place.zero_();
        else place.copy_(gradient);
        count.fill_(gradient is null ? Scalars.Zero : Scalars.One);
    });

    /// <summary>Copies the sums back. A parameter that has no gradient on any rank gets none.</summary>
    public void Unpack() => ForEach((parameter, place, count) =>
    {
        if (count.to(ScalarType.Float64).item<double>() == 0) return;
        using var gradient = parameter.grad;
        if (gradient is not null) gradient.copy_(place);
        else parameter.grad = zeros_like(parameter).copy_(place);
    });

    /// <inheritdoc/>
    public void Dispose() => gradients.Dispose();

    private void ForEach(Action<Parameter, Tensor, Tensor> action)
    {
        using var withoutGradient = no_grad();
        using var scope = NewDisposeScope();
        var (start, last) = (0L, Elements - parameters.Count);
        for (var i = 0; i < parameters.Count; i++)
        {
            var parameter = parameters[i];
            action(parameter, gradients.narrow(0, start, parameter.numel()).view(parameter.shape), gradients.narrow(0, last + i, 1));
            start += parameter.numel();
        }
    }
}
