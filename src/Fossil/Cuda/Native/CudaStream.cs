namespace Fossil.Cuda.Native;

/// <summary>A stream of a device beside the default one, on which libtorch works: what is put here runs while that goes on. One thread at a time.</summary>
internal sealed unsafe class CudaStream
{
    private const uint NonBlocking = 1, WithoutTime = 2;
    private const int NotReady = 600;

    private readonly CudaDriver driver;
    private readonly nint context;
    private readonly nint before;
    private readonly Stack<nint> free = [];

    /// <param name="driver">The driver.</param>
    /// <param name="context">The context of the device.</param>
    /// <exception cref="CudaException">There is no more room for one.</exception>
    public CudaStream(CudaDriver driver, nint context)
    {
        (this.driver, this.context) = (driver, context);
        using var current = driver.Enter(context);
        nint stream;
        driver.Check(((delegate* unmanaged<nint*, uint, int>)driver.Export("cuStreamCreate"))(&stream, NonBlocking), "cuStreamCreate");
        (Handle, before) = (stream, CreateEvent());
    }

    /// <summary>The stream.</summary>
    public nint Handle { get; }

    /// <summary>What is put here from now on waits for all that was put on the default stream before.</summary>
    public void FollowDefault()
    {
        using var current = driver.Enter(context);
        Record(before, 0);
        driver.Check(((delegate* unmanaged<nint, nint, uint, int>)driver.Export("cuStreamWaitEvent"))(Handle, before, 0), "cuStreamWaitEvent");
    }

    /// <summary>Marks the place behind all that was put here.</summary>
    /// <returns>For <see cref="IsReached"/>, until it is.</returns>
    public nint Mark()
    {
        using var current = driver.Enter(context);
        var mark = free.Count > 0 ? free.Pop() : CreateEvent();
        Record(mark, Handle);
        return mark;
    }

    /// <summary>Whether all before a mark is done; not to be asked again after that.</summary>
    /// <exception cref="CudaException">Something before it failed.</exception>
    public bool IsReached(nint mark)
    {
        using var current = driver.Enter(context);
        var code = ((delegate* unmanaged<nint, int>)driver.Export("cuEventQuery"))(mark);
        if (code == NotReady) return false;
        driver.Check(code, "cuEventQuery", "sums over the ranks");
        free.Push(mark);
        return true;
    }

    /// <summary>Copies to the device; the source is pinned.</summary>
    public void CopyToDevice(nint destination, nint source, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, void*, nuint, nint, int>)driver.Export("cuMemcpyHtoDAsync_v2"))(destination, (void*)source, (nuint)bytes, Handle), "cuMemcpyHtoDAsync");
    }

    /// <summary>Copies to the host; the destination is pinned.</summary>
    public void CopyToHost(nint destination, nint source, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<void*, nint, nuint, nint, int>)driver.Export("cuMemcpyDtoHAsync_v2"))((void*)destination, source, (nuint)bytes, Handle), "cuMemcpyDtoHAsync");
    }

    /// <summary>Makes memory of the device zeros.</summary>
    public void Clear(nint address, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, byte, nuint, nint, int>)driver.Export("cuMemsetD8Async"))(address, 0, (nuint)bytes, Handle), "cuMemsetD8Async");
    }

    private nint CreateEvent()
    {
        nint made;
        driver.Check(((delegate* unmanaged<nint*, uint, int>)driver.Export("cuEventCreate"))(&made, WithoutTime), "cuEventCreate");
        return made;
    }

    private void Record(nint @event, nint stream) => driver.Check(((delegate* unmanaged<nint, nint, int>)driver.Export("cuEventRecord"))(@event, stream), "cuEventRecord");
}
