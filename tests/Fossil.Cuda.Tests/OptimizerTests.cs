using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The optimizer's kernels beside the CPU's, through the driver without a device and as emulated with every access checked.</summary>
[Collection(nameof(FakeDriver))]
public sealed class OptimizerTests
{
    private static readonly AdamWCoefficients Coefficients = new(1e-2, 0.9, 0.999, 1e-8, 0.1, 3);

    /// <summary>A whole number of vectors and others, nothing, aligned and not, more than the threads of the grid take at once.</summary>
    [SkippableTheory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(1000, 0)]
    [InlineData(1000, 1)]
    [InlineData(20_003, 0)]
    public void AdamWIsTheCpusToTheBit(int count, int offset)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        driver.Run(CudaOptimizerLaunches.Source);
        Tensor New() => randn(count + offset).narrow(0, offset, count);
        Tensor[] ours = [New(), New(), New(), New().abs()], theirs = [.. ours.Select(tensor => tensor.clone())];

        Assert.True(Step(new CudaOptimizerKernels(driver.Runtime(), new()), ours));
        Assert.True(Step(new AdamWKernel(), theirs));

        Assert.Null(driver.Error);
        Assert.All(ours.Zip(theirs), pair => Assert.True(pair.First.eq(pair.Second).all().item<bool>()));
    }

    [SkippableTheory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(1000, 1)]
    [InlineData(20_003, 0)]
    public void TheNormIsSummedInFloat64(int count, int offset)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        driver.Run(CudaOptimizerLaunches.Source);
        var values = randn(count + offset).narrow(0, offset, count);
        Assert.True(new CudaOptimizerKernels(driver.Runtime(), new()).TryRun(KernelMatrix.Of(values, count), out var norm));
        Assert.Null(driver.Error);
        var expected = values.to(float64).square().sum().item<double>();
        Assert.InRange(norm, expected * (1 - 1e-12), expected * (1 + 1e-12));
    }

    [SkippableFact]
    public void NoThreadOfThemLeavesItsBuffersOrMeetsAnother()
    {
        using var scope = NewDisposeScope();
        const int Count = 9001;
        Tensor[] all = [randn(Count), randn(Count), randn(Count), randn(Count).abs()];
        var emulation = Emulation.Of(CudaOptimizerLaunches.Source);
        var addresses = all.Select(NativeTensor.Data).ToArray();
        Assert.Null(emulation.Run(
            CudaOptimizerLaunches.AdamW(addresses[0], addresses[1], addresses[2], addresses[3], Count, CudaOptimizerLaunches.Blocks(Count, 1), Coefficients), addresses.Select(address => (address, Count * 4L))));
        Tensor norm = zeros([1], dtype: float64), parts = zeros([4], dtype: float64), counter = zeros([1], dtype: int32);
        Assert.Null(emulation.Run(
            CudaOptimizerLaunches.SquaredNorm(addresses[0], Count, CudaOptimizerLaunches.Blocks(Count, 1), NativeTensor.Data(norm), NativeTensor.Data(parts), NativeTensor.Data(counter)),
            (addresses[0], Count * 4), (NativeTensor.Data(norm), 8), (NativeTensor.Data(parts), 32), (NativeTensor.Data(counter), 4)));
    }

    [SkippableFact]
    public void ArgumentsAreThoseOfTheKernelsParameters()
    {
        var nvrtc = Tools.RequireNvrtc();
        foreach (var architecture in Architecture.All)
        {
            var binary = nvrtc.Compile(CudaOptimizerLaunches.Source, "optimizer", architecture.Number, "--ptxas-options=-v");
            foreach (var kernel in CompiledKernel.Of(binary.Log)) CompilerTests.AssertFits(CudaOptimizerLaunches.Source, kernel);
            foreach (var launch in new[] { CudaOptimizerLaunches.AdamW(1, 2, 3, 4, 5, 6, Coefficients), CudaOptimizerLaunches.SquaredNorm(1, 2, 3, 4, 5, 6) })
                Assert.Equal(LaunchTests.ParametersOf(binary.Ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size));
        }
    }

    private static bool Step(IAdamW kernel, Tensor[] all) =>
        kernel.TryStep(KernelMatrix.Of(all[0], all[0].numel()), KernelMatrix.Of(all[1], all[1].numel()), KernelMatrix.Of(all[2], all[2].numel()), KernelMatrix.Of(all[3], all[3].numel()), Coefficients);
}
