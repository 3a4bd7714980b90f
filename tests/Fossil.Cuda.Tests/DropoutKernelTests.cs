using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Dropout masks of a device are those of the CPU, through the driver without a device and with every access checked.</summary>
[Collection(nameof(FakeDriver))]
public sealed class DropoutKernelTests
{
    private const uint Threshold = 1_288_490_188;

    /// <summary>Rows that end in a thread's four elements, more elements than the threads take at once, and fewer than one thread takes.</summary>
    [SkippableTheory]
    [InlineData(1, 3)]
    [InlineData(5, 1)]
    [InlineData(3, 1003)]
    [InlineData(40, 1024)]
    public void MasksAreTheCpus(int count, int columns)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        driver.Run(CudaDropoutMask.Source);
        var numbers = new Random(5);
        DropoutRow[] rows = [.. Enumerable.Range(0, count).Select(_ => new DropoutRow((uint)numbers.NextInt64(), (uint)numbers.NextInt64(), (uint)numbers.NextInt64()))];
        Tensor ours = empty(count, columns, dtype: ScalarType.Bool), theirs = empty(count, columns, dtype: ScalarType.Bool);

        Assert.True(new CudaDropoutMask(driver.Runtime()).TryFill(KernelMatrix.Of(ours), rows, Threshold));
        Assert.True(KernelRegistry.TryRun<IDropoutMask>(columns, [theirs], (kernel, operands) => kernel.TryFill(operands[0], rows, Threshold)));

        Assert.Null(driver.Error);
        Assert.Equal(1, driver.LaunchesOf("dropout_mask"));
        Assert.True(ours.eq(theirs).all().item<bool>());
    }

    [SkippableFact]
    public void NoThreadLeavesTheMaskOrMeetsAnother()
    {
        using var scope = NewDisposeScope();
        Tensor mask = zeros(9, 1003, dtype: ScalarType.Bool), rows = zeros(27, dtype: int32);
        var launch = CudaDropoutMask.Launch(NativeTensor.Data(mask), NativeTensor.Data(rows), mask.numel(), 1003, Threshold, 1);
        Assert.Null(Emulation.Of(CudaDropoutMask.Source).Run(launch, (NativeTensor.Data(mask), mask.numel()), (NativeTensor.Data(rows), 27 * 4)));
    }

    [SkippableFact]
    public void ArgumentsAreThoseOfTheKernelsParameters()
    {
        var nvrtc = Tools.RequireNvrtc();
        foreach (var architecture in Architecture.All)
        {
            var binary = nvrtc.Compile(CudaDropoutMask.Source, "dropout", architecture.Number, "--ptxas-options=-v");
            foreach (var kernel in CompiledKernel.Of(binary.Log)) CompilerTests.AssertFits(CudaDropoutMask.Source, kernel);
            Assert.Equal(LaunchTests.ParametersOf(binary.Ptx, "dropout_mask"), CudaDropoutMask.Launch(1, 2, 3, 4, 5, 6).Arguments.Select(argument => argument.Size));
        }
    }
}
