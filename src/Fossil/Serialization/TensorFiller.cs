using Fossil.CompilerServices;
using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>Fills a tensor of any dtype and device from what a reader writes, with no second copy of it in memory: in pieces where it is to be converted, or lies on a device.</summary>
internal static class TensorFiller
{
    /// <summary>Elements that are converted at a time: bounds what is held beside the tensor itself.</summary>
    private const long ConversionElements = 1 << 22;

    /// <summary>Writes <paramref name="count"/> elements from <paramref name="first"/> on to host memory.</summary>
    public delegate void Reader(long first, long count, nint destination);

    /// <summary>Fills a tensor.</summary>
    /// <param name="flat">(n), without gaps.</param>
    /// <param name="stored">The dtype that the reader writes.</param>
    /// <param name="granule">The reader is asked for elements from multiples of this on.</param>
    /// <param name="read">The reader.</param>
    /// <exception cref="CudaException">The device refuses a copy.</exception>
    public static void Fill(Tensor flat, ScalarType stored, long granule, Reader read) =>
        Fill(flat, stored, granule, read, flat.device_type == DeviceType.CPU ? null : Array.Find(KernelRegistry.For<IUpload>(0, flat), _ => true), flat.device_type == DeviceType.CPU);

    /// <summary>A tensor of the host on a device, brought there in pieces; the tensor itself where it is on that device.</summary>
    /// <param name="host">On the CPU, without gaps.</param>
    /// <param name="device">The device.</param>
    /// <exception cref="CudaException">The device refuses a copy.</exception>
    public static Tensor Upload(Tensor host, Device device)
    {
        if (device.type == DeviceType.CPU) return host;
        var there = empty(host.shape, dtype: host.dtype, device: device);
        using var flat = there.view(-1);
        Upload(host, flat, Array.Find(KernelRegistry.For<IUpload>(0, flat), _ => true));
        return there;
    }

    /// <summary>As <see cref="Upload(Tensor, Device)"/> with an upload of the caller's, for tests.</summary>
    internal static unsafe void Upload(Tensor host, Tensor flat, IUpload? upload)
    {
        var (source, size) = (NativeTensor.Data(host), host.ElementSize);
        Fill(flat, host.dtype, 1, (first, count, destination) => Buffer.MemoryCopy((byte*)source + (first * size), (void*)destination, count * size, count * size), upload);
        GC.KeepAlive(host);
    }

    /// <summary>As <see cref="Fill(Tensor, ScalarType, long, Reader)"/> with an upload of the caller's, for tests.</summary>
    internal static void Fill(Tensor flat, ScalarType stored, long granule, Reader read, IUpload? upload, bool isHost = false)
    {
        var elements = flat.numel();
        if (elements == 0) return;
        if (isHost && flat.dtype == stored)
        {
            read(0, elements, NativeTensor.Data(flat));
            return;
        }

        using var noGrad = no_grad();
        var most = isHost ? ConversionElements : IUpload.MostBytes / SizeOf(stored);
        var chunk = Math.Min(Math.Max(1, most / granule) * granule, elements);
        // On a device a piece of another dtype is converted there.
        using var buffer = isHost || flat.dtype != stored ? empty(chunk, stored, flat.device) : null;
        for (long done = 0; done < elements; done += chunk)
        {
            using var scope = NewDisposeScope();
            var (start, length) = (done, Math.Min(chunk, elements - done));
            var piece = flat.narrow(0, start, length);
            var target = buffer?.narrow(0, 0, length) ?? piece;
            if (isHost) read(start, length, NativeTensor.Data(target));
            else if (upload is null || !upload.TryWrite(KernelMatrix.Of(target), address => read(start, length, address))) CopyFromHost(target, address => read(start, length, address));
            if (buffer is not null) piece.copy_(target);
        }
    }

    private static void CopyFromHost(Tensor target, Action<nint> read)
    {
        using var host = empty(target.shape, target.dtype, CPU);
        read(NativeTensor.Data(host));
        target.copy_(host);
    }

    private static long SizeOf(ScalarType dtype)
    {
        using var one = empty(1, dtype, CPU);
        return one.ElementSize;
    }
}
