using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>What readers bring to a device by way of pinned memory, on a driver whose device has the host's memory.</summary>
[Collection(nameof(FakeDriver))]
public sealed class UploadTests
{
    private const ScalarType Bytes = ScalarType.Byte;

    /// <summary>Fewer elements than a piece, several pieces of whole granules, and the reader's dtype or another.</summary>
    [SkippableTheory]
    [InlineData(5, 1, ScalarType.Float32)]
    [InlineData(5, 1, ScalarType.BFloat16)]
    [InlineData((IUpload.MostBytes / 4 * 2) + 77, 1, ScalarType.Float32)]
    [InlineData((IUpload.MostBytes / 4) + 77, 1000, ScalarType.BFloat16)]
    public void ATensorIsFilledThroughPinnedMemory(int count, int granule, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var upload = new CudaUpload(driver.Runtime());
        var source = arange(count, dtype: float32);
        var destination = full([count], -1f, dtype: dtype);
        TensorFiller.Fill(destination, ScalarType.Float32, granule, Read(source, granule), upload);

        Assert.Null(driver.Error);
        Assert.True(source.to(dtype).eq(destination).all().item<bool>());
        Assert.Equal(count * 4L, driver.BytesToDevice);
        Assert.Equal(0, driver.Contexts);
    }

    /// <summary>A piece that is larger than the pinned memory, as the rows of a wide matrix may be, goes by libtorch.</summary>
    [SkippableFact]
    public void APieceThatDoesNotFitGoesByLibtorch()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var count = (IUpload.MostBytes / 4) + 1;
        var source = arange(count, dtype: float32);
        var destination = zeros([count]);
        TensorFiller.Fill(destination, ScalarType.Float32, count, Read(source, count), new CudaUpload(driver.Runtime()));
        Assert.True(source.eq(destination).all().item<bool>());
        Assert.Equal(0, driver.BytesToDevice);
    }

    [SkippableTheory]
    [InlineData("cuMemHostAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY", "16,777,216 bytes of pinned memory")]
    [InlineData("cuMemcpyHtoDAsync_v2", 719, "CUDA_ERROR_LAUNCH_FAILED", "cuMemcpyHtoDAsync")]
    [InlineData("cuEventSynchronize", 719, "CUDA_ERROR_LAUNCH_FAILED", "cuEventSynchronize")]
    public void WhatTheDriverRefusesIsNamed(string function, int code, string name, string what)
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var upload = new CudaUpload(driver.Runtime());
        driver.Fail(function, code);
        var message = Assert.Throws<CudaException>(() => upload.TryWrite(KernelMatrix.Of(zeros(4)), _ => { })).Message;
        Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Contains(what, message, StringComparison.Ordinal);
        Assert.Equal(0, driver.Contexts);
    }

    /// <summary>Several threads load at once: each piece is written and copied as a whole.</summary>
    [SkippableFact]
    public void SeveralReadersShareThePinnedMemory()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        var upload = new CudaUpload(driver.Runtime());
        var tensors = Enumerable.Range(0, 16).Select(_ => zeros([5000], dtype: Bytes)).ToArray();
        Parallel.For(0, tensors.Length, number => Assert.True(upload.TryWrite(KernelMatrix.Of(tensors[number]), address => Fill(address, 5000, (byte)number))));
        foreach (var (number, tensor) in tensors.Index()) Assert.True(tensor.eq(number).all().item<bool>());
        Assert.Equal(0, driver.Contexts);
    }

    private static unsafe void Fill(nint address, int count, byte value) => new Span<byte>((void*)address, count).Fill(value);

    /// <summary>A reader of float32 that is asked for whole granules.</summary>
    private static unsafe TensorFiller.Reader Read(Tensor source, int granule) => (first, count, to) =>
    {
        Assert.Equal(0, first % granule);
        Buffer.MemoryCopy((float*)NativeTensor.Data(source) + first, (void*)to, count * 4, count * 4);
    };
}
