using Fossil.CompilerServices;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Products by cuBLAS, on one without a device (<c>Native/fake_cublas.cpp</c>), beside libtorch's.</summary>
[Collection(nameof(FakeDriver))]
public sealed class CublasTests
{
    /// <summary>Types of the factors and of the result; rows that lie apart.</summary>
    [SkippableTheory]
    [InlineData(ScalarType.Float32, ScalarType.Float32, 0)]
    [InlineData(ScalarType.BFloat16, ScalarType.BFloat16, 3)]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32, 0)]
    [InlineData(ScalarType.Float16, ScalarType.Float16, 5)]
    public void ProductsAreLibtorchs(ScalarType factors, ScalarType results, int gap)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        var driver = FakeDriver.Reset();
        var products = new CudaProducts(driver.Runtime());
        Tensor New(long rows, long columns, ScalarType dtype) => randn([rows, columns + gap], generator: generator).to(dtype).narrow(1, 0, columns);
        Tensor dy = New(70, 33, factors), shard = New(8, 33, factors), sum = New(70, 8, factors), y = New(70, 33, results), before = y.clone();
        Tensor dS = New(70, 8, results), dD = New(8, 33, results);

        Assert.True(products.TryAdd(KernelMatrix.Of(y), KernelMatrix.Of(sum), KernelMatrix.Of(shard)));
        Assert.True(products.TrySumGradient(KernelMatrix.Of(dy), KernelMatrix.Of(dS), KernelMatrix.Of(shard)));
        Assert.True(products.TryShardGradient(KernelMatrix.Of(dy), KernelMatrix.Of(sum), KernelMatrix.Of(dD)));

        Assert.Null(driver.Error);
        Assert.Equal((3, 1), driver.Cublas);
        Assert.Equal(0, driver.Contexts);
        AssertClose(before.to(float64) + sum.to(float64).mm(shard.to(float64)), y);
        AssertClose(dy.to(float64).mm(shard.to(float64).t()), dS);
        AssertClose(sum.to(float64).t().mm(dy.to(float64)), dD);

        // With beta = 0 what was there is not read.
        y.fill_(double.NaN);
        Assert.True(products.TryAdd(KernelMatrix.Of(y), KernelMatrix.Of(sum), KernelMatrix.Of(shard), beta: 0));
        AssertClose(sum.to(float64).mm(shard.to(float64)), y);
    }

    [SkippableFact]
    public void WhatCublasDoesNotMultiplyIsDeclined()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var products = new CudaProducts(driver.Runtime());
        bool Add(Tensor y, Tensor sum, Tensor shard) => products.TryAdd(KernelMatrix.Of(y), KernelMatrix.Of(sum), KernelMatrix.Of(shard));
        Assert.False(Add(zeros(3, 4, dtype: bfloat16), zeros(3, 2), zeros(2, 4)));
        Assert.False(Add(zeros(3, 4), zeros(3, 2), zeros(2, 4, dtype: bfloat16)));
        Assert.False(Add(zeros(3, 4, dtype: float64), zeros(3, 2, dtype: float64), zeros(2, 4, dtype: float64)));
        Assert.False(Add(zeros(3, 4), zeros(3, 2), zeros(2, 2)));
        Assert.False(Add(zeros(1, 4).expand(3, 4), zeros(3, 2), zeros(2, 4)));
        Assert.False(Add(zeros(3, 4), zeros(2, 3).t(), zeros(2, 4)));
        Assert.Equal((0, 0), driver.Cublas);
        Assert.True(Add(zeros(0, 4), zeros(0, 2), zeros(2, 4)));
        Assert.Equal((0, 0), driver.Cublas);

        // bfloat16 is multiplied from compute capability 8.0 on.
        var turing = new CudaProducts(FakeDriver.Reset(architecture: 75).Runtime());
        Assert.False(turing.TryAdd(KernelMatrix.Of(zeros(3, 4, dtype: bfloat16)), KernelMatrix.Of(zeros(3, 2, dtype: bfloat16)), KernelMatrix.Of(zeros(2, 4, dtype: bfloat16))));
    }

    /// <summary>A handle serves one thread at a time and the context that it was made in; there are no more of them than threads at once.</summary>
    [SkippableFact]
    public void HandlesAreOfOneThreadAndOneDevice()
    {
        var driver = FakeDriver.Reset(devices: 2);
        var runtime = driver.Runtime();
        var cublas = runtime.Cublas!;
        const int Threads = 6;
        Parallel.For(0, 200, new() { MaxDegreeOfParallelism = Threads }, number =>
        {
            using var scope = NewDisposeScope();
            Tensor left = ones(20, 4), right = ones(4, 9), result = zeros(20, 9);
            runtime.Device(number % 2)!.Multiply(cublas, new(NativeTensor.Data(left), ScalarType.Float32, 4), new(NativeTensor.Data(right), ScalarType.Float32, 9), new(NativeTensor.Data(result), ScalarType.Float32, 9), (20, 9, 4), 0, "a product");
            Assert.True(result.eq(4).all().item<bool>());
            Assert.Equal(0, driver.Contexts);
        });
        Assert.Null(driver.Error);
        Assert.Equal(200, driver.Cublas.Products);
        Assert.InRange(driver.Cublas.Handles, 2, 2 * Threads);
    }

    [SkippableTheory]
    [InlineData("cublasCreate_v2", 3, "cublasCreate failed: CUBLAS_STATUS_ALLOC_FAILED")]
    [InlineData("cublasSetStream_v2", 1, "cublasSetStream failed: CUBLAS_STATUS_NOT_INITIALIZED")]
    [InlineData("cublasGemmEx", 13, "cublasGemmEx failed: CUBLAS_STATUS_EXECUTION_FAILED")]
    public void AFailedProductIsNamed(string function, int code, string message)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var products = new CudaProducts(driver.Runtime());
        driver.Fail(function, code);
        var exception = Assert.Throws<CudaException>(() => products.TryAdd(KernelMatrix.Of(zeros(3, 4)), KernelMatrix.Of(zeros(3, 2)), KernelMatrix.Of(zeros(2, 4))));
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
        Assert.Contains("S D", exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, driver.Contexts);
    }

    [SkippableFact]
    public void AGraphBeingCapturedIsRefused()
    {
        using var scope = NewDisposeScope();
        var products = new CudaProducts(FakeDriver.Reset(isCapturing: true).Runtime());
        Assert.Contains("graph", Assert.Throws<CudaException>(() => products.TryAdd(KernelMatrix.Of(zeros(3, 4)), KernelMatrix.Of(zeros(3, 2)), KernelMatrix.Of(zeros(2, 4)))).Message, StringComparison.Ordinal);
    }

    /// <summary>Kernels run without cuBLAS; its absence is said once.</summary>
    [SkippableFact]
    public void WithoutCublasLibtorchMultiplies()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var nvrtc = Tools.RequireNvrtc();
        CudaRuntime runtime = new(() => new(driver.Library), () => nvrtc, new(Path.GetTempPath()), () => new(System.Runtime.InteropServices.NativeLibrary.Load(Tools.NvrtcFile!)));
        var products = new CudaProducts(runtime);
        var warnings = CollectedWarnings.During(() =>
        {
            for (var i = 0; i < 3; i++) Assert.False(products.TryAdd(KernelMatrix.Of(zeros(3, 4)), KernelMatrix.Of(zeros(3, 2)), KernelMatrix.Of(zeros(2, 4))));
        });
        Assert.Contains("cublasGemmEx", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.NotNull(runtime.Device(0));
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        var rounding = actual.dtype switch { ScalarType.BFloat16 => 1.0 / 256, ScalarType.Float16 => 1.0 / 2048, _ => 1e-6 };
        var off = ((actual.to(float64) - expected).abs() - (expected.abs() * rounding)).max().item<double>();
        Assert.True(off <= 1e-6, $"off by {off:g3}");
    }
}
