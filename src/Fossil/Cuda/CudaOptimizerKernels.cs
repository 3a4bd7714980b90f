using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>The optimizer's kernels on CUDA devices.</summary>
internal sealed class CudaOptimizerKernels(CudaRuntime runtime, CudaScratch scratch) : IAdamW, ISquaredNorm
{
    private const string Name = "the kernels of the optimizer";

    public bool TryStep(in KernelMatrix parameter, in KernelMatrix gradient, in KernelMatrix firstMoment, in KernelMatrix secondMoment, in AdamWCoefficients coefficients)
    {
        var count = parameter.Rows * parameter.Columns;
        if (!parameter.IsPlain(ScalarType.Float32) || !gradient.IsPlain(ScalarType.Float32) || !firstMoment.IsPlain(ScalarType.Float32) || !secondMoment.IsPlain(ScalarType.Float32)) return false;
        if (Device(parameter) is not { } device) return false;
        if (count > 0) device.Launch(CudaOptimizerLaunches.Source, CudaOptimizerLaunches.AdamW(parameter.Address, gradient.Address, firstMoment.Address, secondMoment.Address, count, CudaOptimizerLaunches.Blocks(count, device.Multiprocessors), coefficients));
        return true;
    }

    public bool TryRun(in KernelMatrix values, out double squaredNorm)
    {
        squaredNorm = 0;
        var count = values.Rows * values.Columns;
        if (!values.IsPlain(ScalarType.Float32) || Device(values) is not { } device) return false;
        if (count == 0) return true;
        var blocks = CudaOptimizerLaunches.Blocks(count, device.Multiprocessors);
        using var norm = CudaScratch.Of(values, 1, ScalarType.Float64)!;
        using var parts = CudaScratch.Of(values, blocks, ScalarType.Float64);
        device.Launch(CudaOptimizerLaunches.Source, CudaOptimizerLaunches.SquaredNorm(values.Address, count, blocks, CudaScratch.Address(norm), CudaScratch.Address(parts), scratch.Counters(values, 1)));
        squaredNorm = norm.item<double>();
        return true;
    }

    private CudaDevice? Device(in KernelMatrix operand) =>
        runtime.Device(Math.Max(0, operand.Tensor.device_index)) is { } device && device.Prepare(CudaOptimizerLaunches.Source, Name) ? device : null;
}
