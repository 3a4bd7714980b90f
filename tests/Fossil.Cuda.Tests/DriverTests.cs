using Fossil.CompilerServices;
using Fossil.Cuda.Native;
using Fossil.Kernels;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The CUDA back end on a driver without a device, with NVIDIA's compiler. No other test has its shard sizes.</summary>
[Collection(nameof(FakeDriver))]
public sealed class DriverTests
{
    /// <summary>
    /// Few rows take one launch a pass, many a kernel and a product forward, and two products and a kernel backward; padded, and Mini, whose tiles are added up by one kernel more each way. A weight of 16 bits has products of
    /// 16 bits where it is asked to.
    /// </summary>
    [SkippableTheory]
    [InlineData(14, 5, 42, null, "float", false, 6, 0)]
    [InlineData(18, 5, 40, null, "float", false, 6, 0)]
    [InlineData(20, 80, 60, null, "float", false, 6, 9)]
    [InlineData(22, 7, 44, 8, "float", false, 6, 0)]
    [InlineData(26, 9, 78, null, "bfloat16", false, 6, 0)]
    [InlineData(28, 90, 60, null, "bfloat16", false, 6, 0)]
    [InlineData(32, 9, 96, null, "bfloat16", true, 6, 0)]
    [InlineData(34, 1, 68, null, "bfloat16", true, 6, 0)]
    [InlineData(36, 11, 80, null, "bfloat16", true, 6, 0)]
    [InlineData(38, 10, 76, 8, "bfloat16", true, 6, 0)]
    [InlineData(40, 70, 80, null, "bfloat16", true, 6, 9)]
    [InlineData(42, 70, 80, null, "bfloat16", true, 6, 9)]
    [InlineData(12, 70, 60, 12, "bfloat16", true, 12, 9)]
    [InlineData(6, 70, 42, 6, "float", false, 12, 9)]
    public void TrainingThroughTheDriverIsTrainingOnTheCpu(int shardSize, int rows, int columns, int? miniSize, string type, bool isRounded, int launches, int products)
    {
        var element = CudaElement.All.Single(element => element.CudaType == type);
        var expected = Train(shardSize, rows, columns, miniSize, Enum.Parse<ScalarType>(element.Name), isRounded);

        var driver = FakeDriver.Reset();
        driver.Run(CudaShardSource.Of(shardSize, element));
        CudaKernels.Register(driver.Runtime(), DeviceType.CPU, shardSize);
        var actual = Train(shardSize, rows, columns, miniSize, Enum.Parse<ScalarType>(element.Name), isRounded);

        Assert.Null(driver.Error);
        Assert.Equal(0, driver.Contexts);
        Assert.Equal((launches, products), (driver.Launches, driver.Cublas.Products));
        var tolerance = type == "float" ? 1e-5 : 2e-2;
        foreach (var (one, other) in expected.Zip(actual)) Assert.InRange(other, one - (tolerance * (1 + Math.Abs(one))), one + (tolerance * (1 + Math.Abs(one))));
    }

    /// <summary>Sequences of several adapters, and one of none, are one launch where no backward pass follows.</summary>
    [SkippableFact]
    public void ABatchOfSeveralAdaptersIsOneLaunch()
    {
        using var scope = NewDisposeScope();
        const int ShardSize = 44;
        using var generator = new Generator(7);
#pragma warning disable FOSSIL005 // The configuration below says another shard size than the attribute.
        using var layer = new Projection(88, 48, float32);
#pragma warning restore FOSSIL005
        FossilConfig config = new() { ShardSize = ShardSize, TargetModules = ["proj"] };
        using var adapted = layer.AttachAdapters(config);
        adapted.AddAdapter("second", config);
        using (no_grad())
        {
            foreach (var parameter in layer.parameters()) parameter.copy_(randn(parameter.shape, generator: generator));
        }

        var x = randn([4, 3, 88], generator: generator);
        Tensor Run()
        {
            using var _ = no_grad();
            using var __ = adapted.UseAdapters(["default", "second", null, "default"]);
            return layer.forward(x);
        }

        var expected = Run();
        var driver = FakeDriver.Reset();
        driver.Run(CudaShardSource.Of(ShardSize, CudaElement.All[0]));
        CudaKernels.Register(driver.Runtime(), DeviceType.CPU, ShardSize);
        Assert.True(expected.allclose(Run(), rtol: 1e-4, atol: 1e-4));
        Assert.Null(driver.Error);
        Assert.Equal((1, 0), (driver.Launches, driver.Cublas.Products));
    }

    /// <summary>Each device has its own context, module and launches.</summary>
    [SkippableFact]
    public void SeveralDevicesHaveModulesOfTheirOwn()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset(devices: 2);
        var runtime = driver.Runtime();
        var source = CudaShardSource.Of(16, CudaElement.All[0]);
        driver.Run(source);
        foreach (var number in new[] { 0, 1, 0 })
        {
            var device = runtime.Device(number)!;
            Assert.True(device.Prepare(source, "a source"));
            Tensor x = ones(3, 32), sum = zeros(3, 16);
            using CudaDeviceQueue queue = new(device, source, KernelMatrix.Of(x), new());
            Assert.True(new CudaShardStubs(16).TryShardSum(queue, CudaMatrix.Of(KernelMatrix.Of(x)), CudaMatrix.Of(KernelMatrix.Of(sum))));
            Assert.True(sum.eq(2).all().item<bool>());
        }
        Assert.Null(driver.Error);
        Assert.Equal((3, 2), (driver.Launches, driver.Loads));
        Assert.Contains("CUDA_ERROR_INVALID_DEVICE", Assert.Single(CollectedWarnings.During(() => Assert.Null(runtime.Device(2)))), StringComparison.Ordinal);
    }

    /// <summary>A launch whose arguments are not those of the kernel is refused before the driver reads what is not there.</summary>
    [SkippableFact]
    public void ArgumentsThatAreNotTheKernelsAreRefused()
    {
        var driver = FakeDriver.Reset();
        var device = driver.Runtime().Device(0)!;
        var source = CudaShardSource.Of(16, CudaElement.All[0]);
        Assert.True(device.Prepare(source, "a source"));
        var exception = Assert.Throws<CudaException>(() => device.Launch(source, new("add_tiled", (1, 1), (256, 1), (nint)0, 0L, (nint)0, 0L, 0L, 0L)));
        Assert.Contains("add_tiled takes parameters of 8, 8, 8, 8, 8, 4, 4, 4, 4 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (driver.Launches, driver.Contexts));
        // A number in a pointer's place has its size: the driver without a device tells the two apart.
        Assert.Throws<CudaException>(() => device.Launch(source, new("add_tiled", (1, 1), (256, 1), 3L, 0L, (nint)0, 0L, 0L, 0, 0, 0, 0)));
        Assert.Contains("argument 0", driver.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void SeveralThreadsLaunchAtOnce()
    {
        const int ShardSize = 30;
        var driver = FakeDriver.Reset();
        driver.Run(CudaShardSource.Of(ShardSize, CudaElement.All[0]));
        CudaKernels.Register(driver.Runtime(), DeviceType.CPU, ShardSize);
        Parallel.For(0, 16, new() { MaxDegreeOfParallelism = 8 }, number =>
        {
            using var scope = NewDisposeScope();
            var x = randn(3, 90);
            Assert.True(x.view(3, 3, ShardSize).sum(1).allclose(ShardOperations.ShardSum(x, ShardSize), rtol: 1e-5, atol: 1e-5));
            Assert.Equal(0, driver.Contexts);
        });
        Assert.Null(driver.Error);
        Assert.Equal((16, 1), (driver.Launches, driver.Loads));
    }

    [SkippableTheory]
    [InlineData(2, "CUDA_ERROR_OUT_OF_MEMORY")]
    [InlineData(701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")]
    [InlineData(719, "CUDA_ERROR_LAUNCH_FAILED")]
    [InlineData(987654, "error 987654")]
    public void AFailedLaunchIsNamedWithItsKernel(int code, string name)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var kernels = new CudaShardKernels(driver.Runtime(), new());
        driver.Fail("cuLaunchKernel", code);
        var exception = Assert.Throws<CudaException>(() => kernels.TryShardSum(KernelMatrix.Of(zeros(2, 32)), KernelMatrix.Of(zeros(2, 16))));
        Assert.Contains("shard_sum", exception.Message, StringComparison.Ordinal);
        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, driver.Contexts);
    }

    /// <summary>Whether the driver says so of the stream, or refuses to look as another stream is captured that waits for it: nothing is launched.</summary>
    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void AGraphBeingCapturedIsRefused(bool isOfTheStream)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset(isCapturing: isOfTheStream);
        if (!isOfTheStream) driver.Fail("cuStreamIsCapturing", 906);
        var kernels = new CudaShardKernels(driver.Runtime(), new());
        var message = Assert.Throws<CudaException>(() => kernels.TryShardSum(KernelMatrix.Of(zeros(2, 32)), KernelMatrix.Of(zeros(2, 16)))).Message;
        Assert.StartsWith("shard_sum was to run while a CUDA graph is captured", message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (driver.Launches, driver.Contexts));
    }

    /// <summary>Whatever is missing: nothing is written, libtorch computes, and one message says what it is.</summary>
    [SkippableTheory]
    [InlineData("cuInit", 100, "CUDA_ERROR_NO_DEVICE")]
    [InlineData("cuDeviceGet", 101, "CUDA_ERROR_INVALID_DEVICE")]
    [InlineData("cuDevicePrimaryCtxRetain", 2, "CUDA_ERROR_OUT_OF_MEMORY")]
    [InlineData("cuModuleLoadData", 222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION")]
    [InlineData("cuModuleLoadData", 209, "CUDA_ERROR_NO_BINARY_FOR_GPU")]
    public void WhatIsMissingIsSaidOnce(string function, int code, string name)
    {
        var driver = FakeDriver.Reset();
        driver.Fail(function, code);
        AssertDeclinedWithOneMessage(driver.Runtime(), name);
        Assert.Equal(0, driver.Launches);
    }

    [SkippableFact]
    public void LibrariesThatAreNotThereOrOthersAreSaidOnce()
    {
        var driver = FakeDriver.Reset();
        var nvrtc = Tools.RequireNvrtc();
        AssertDeclinedWithOneMessage(new(() => new(driver.Library), () => new(driver.Library), new(Path.GetTempPath()), () => new(driver.Library)), "nvrtcVersion");
        AssertDeclinedWithOneMessage(new(() => throw new CudaException("the CUDA driver was not found"), () => nvrtc, new(Path.GetTempPath()), () => new(driver.Library)), "was not found");
        var variable = new CudaLibrary("NVRTC", "FOSSIL_TEST_OF_A_LIBRARY", CudaLibrary.Nvrtc.Files, ["libnothing-of-this-name.so"]);
        Assert.Contains("FOSSIL_TEST_OF_A_LIBRARY", Assert.Throws<CudaException>(() => (variable with { Files = new("^$") }).Load()).Message, StringComparison.Ordinal);
        Environment.SetEnvironmentVariable(variable.Variable, "/nowhere/libnvrtc.so");
        Assert.Contains("/nowhere/libnvrtc.so", Assert.Throws<CudaException>(() => variable.Load()).Message, StringComparison.Ordinal);
        Environment.SetEnvironmentVariable(variable.Variable, Tools.NvrtcFile);
        Assert.NotEqual(0, variable.Load());
        Environment.SetEnvironmentVariable(variable.Variable, null);
    }

    /// <summary>FOSSIL_CUDA=off: libtorch's operations compute, no library is looked for, and nothing is said.</summary>
    [Fact]
    public void OffMeansOff()
    {
        const int ShardSize = 56;
        List<double> Step() => Train(ShardSize, 70, 112, null, ScalarType.Float32, isRounded: false);
        var expected = Step();
        CudaRuntime runtime = new(() => throw new InvalidOperationException("the driver"), () => throw new InvalidOperationException("NVRTC"), new(Path.GetTempPath()), () => throw new InvalidOperationException("cuBLAS"));
        Environment.SetEnvironmentVariable("FOSSIL_CUDA", "off");
        try
        {
            CudaKernels.Register(runtime, DeviceType.CPU, ShardSize);
            Assert.Empty(CollectedWarnings.During(() => Assert.Equal(expected, Step())));
            Assert.False(new CudaUpload(runtime).TryWrite(KernelMatrix.Of(zeros(4)), _ => throw new InvalidOperationException("an upload")));
            Assert.Equal(0, runtime.DeviceCount);
        }
        finally
        {
            Environment.SetEnvironmentVariable("FOSSIL_CUDA", null);
        }
    }

    /// <summary>Operands that nobody else holds live until their launch, though all that can be is collected after their addresses were taken. Scratch is libtorch's.</summary>
    [SkippableFact]
    public void OperandsLiveUntilTheLaunch()
    {
        const int ShardSize = 50;
        var driver = FakeDriver.Reset();
        var nvrtc = Tools.RequireNvrtc();
        List<WeakReference> operands = [];
        bool[] wereAlive = [];
        CudaRuntime runtime = new(() => new(driver.Library), Collect, new(Directory.CreateTempSubdirectory("fossil-cache-").FullName), () => new(driver.Library));
        CudaKernels.Register(runtime, DeviceType.CPU, ShardSize);
        var allocations = driver.Allocations;
        // One row, so that several blocks leave their sums in scratch.
        using (ShardOperations.ShardSum(Known(zeros(1, 1 << 16)), ShardSize)) Assert.Equal(1, driver.Launches);
        Assert.Equal([true], wereAlive);
        Assert.Equal(allocations, driver.Allocations);
        Assert.Null(driver.Error);

        Tensor Known(Tensor operand)
        {
            operands.Add(new(operand));
            return operand;
        }

        Nvrtc Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            wereAlive = [.. operands.Select(operand => operand.IsAlive)];
            return nvrtc;
        }
    }

    [SkippableFact]
    public void CompiledKernelsAreKeptForOtherProcesses()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-cache-").FullName;
        byte[] image = [1, 2, 3, 4];
        var compiled = 0;
        byte[] Get(params string[] dependencies) => new CudaCache(folder).Get(dependencies, () =>
        {
            Interlocked.Increment(ref compiled);
            return image;
        });

        Assert.Equal(image, Get("source", "sm_90"));
        Assert.Equal(image, Get("source", "sm_90"));
        Assert.Equal(1, compiled);
        Get("source", "sm_80");
        Get("sources", "m_90");
        Assert.Equal(3, compiled);

        // Damaged in any way: cut, emptied, another byte.
        Directory.Delete(folder, recursive: true);
        Get("source", "sm_90");
        foreach (var damage in new Func<byte[], byte[]>[] { bytes => bytes[..^1], bytes => [], bytes => [.. bytes[..^1], 9], bytes => bytes[..10] })
        {
            foreach (var file in Directory.GetFiles(folder)) File.WriteAllBytes(file, damage(File.ReadAllBytes(file)));
            compiled = 0;
            Assert.Equal(image, Get("source", "sm_90"));
            Assert.Equal(image, Get("source", "sm_90"));
            Assert.Equal(1, compiled);
        }

        // Several at once, each with what is whole.
        Directory.Delete(folder, recursive: true);
        Parallel.For(0, 32, number => Assert.Equal(image, Get("source", $"sm_{number % 3}")));

        // A folder that cannot be one costs a message, not the kernels.
        var cache = new CudaCache(Path.Combine(Directory.GetFiles(folder)[0], "folder"));
        var warnings = CollectedWarnings.During(() =>
        {
            Assert.Equal(image, cache.Get(["source"], () => image));
            Assert.Equal(image, cache.Get(["source"], () => image));
        });
        Assert.Contains("FOSSIL_CUDA_CACHE", Assert.Single(warnings), StringComparison.Ordinal);
    }

    /// <summary>The second run time of a folder needs no compiler.</summary>
    [SkippableFact]
    public void TheSecondProcessCompilesNothing()
    {
        using var scope = NewDisposeScope();
        var folder = Directory.CreateTempSubdirectory("fossil-cache-").FullName;
        foreach (var _ in new[] { 1, 2 })
        {
            var driver = FakeDriver.Reset();
            Assert.True(new CudaShardKernels(driver.Runtime(folder), new()).TryShardSum(KernelMatrix.Of(zeros(2, 32)), KernelMatrix.Of(zeros(2, 16))));
            Assert.Equal(1, driver.Loads);
        }
        Assert.Single(Directory.GetFiles(folder, "*.cubin"));
    }

    [SkippableFact]
    public void WhatTheKernelsDoNotTakeIsDeclined()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var kernels = new CudaShardKernels(driver.Runtime(), new());
        bool Sum(Tensor x, Tensor sum) => kernels.TryShardSum(KernelMatrix.Of(x), KernelMatrix.Of(sum));
        Assert.False(Sum(zeros(2, 32, dtype: float64), zeros(2, 16)));
        Assert.False(Sum(zeros(2, 32), zeros(2, 16, dtype: float64)));
        Assert.False(Sum(zeros(2, 32), zeros(1, 16).expand(2, 16)));
        Assert.False(Sum(zeros(2, 4000), zeros(2, 2000)));
        Assert.False(Sum(zeros(32, 2).t(), zeros(2, 16)));
        Assert.False(kernels.TryAddTiled(KernelMatrix.Of(zeros(2, 16)), KernelMatrix.Of(zeros(1, 32).expand(2, 32))));
        Assert.Equal(0, driver.Launches);
        Assert.True(Sum(zeros(0, 32), zeros(0, 16)));
        Assert.Equal(0, driver.Launches);
    }

    private static void AssertDeclinedWithOneMessage(CudaRuntime runtime, string message)
    {
        using var scope = NewDisposeScope();
        var kernels = new CudaShardKernels(runtime, new());
        var warnings = CollectedWarnings.During(() =>
        {
            for (var i = 0; i < 3; i++)
            {
                var sum = full([2, 16], 7f);
                Assert.False(kernels.TryShardSum(KernelMatrix.Of(zeros(2, 32)), KernelMatrix.Of(sum)));
                Assert.True(sum.eq(7).all().item<bool>());
            }
        });
        Assert.Contains(message, Assert.Single(warnings), StringComparison.Ordinal);
    }

    /// <summary>Three steps of training an adapted layer: losses, gradients of the input and the adapter at the end.</summary>
    private static List<double> Train(int shardSize, int rows, int columns, int? miniSize, ScalarType dtype, bool isRounded)
    {
        using var scope = NewDisposeScope();
        // One's own generator: other tests draw from torch's at the same time.
        using var generator = new Generator(3);
        using var layer = new Projection(columns, 48, dtype);
        using (no_grad())
        {
            foreach (var parameter in layer.parameters()) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.1));
        }

        var config = new FossilConfig { ShardSize = shardSize, AllowPadding = columns % shardSize != 0, TargetModules = ["proj"] };
        if (miniSize is { } size) config = config with { Variant = FossilVariant.Mini, MiniSize = size };
        using var adapted = layer.AttachAdapters(config);
        adapted.Bf16Products = isRounded;
        using var optimizer = adapted.CreateOptimizer(learningRate: 0.05);
        List<double> results = [];
        for (var step = 0; step < 3; step++)
        {
            using var stepScope = NewDisposeScope();
            var x = randn(rows, columns, generator: generator).to(dtype).requires_grad_();
            var loss = (layer.forward(x).to(float32) - 1).square().mean();
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            results.AddRange([loss.item<float>(), x.grad!.to(float64).abs().sum().item<double>(), x.grad!.to(float64)[0, 1].item<double>()]);
        }
        results.AddRange(layer.named_parameters().Where(named => named.name.Contains("miss", StringComparison.Ordinal)).Select(named => named.parameter.to(float64).square().sum().item<double>()));
        return results;
    }
}
