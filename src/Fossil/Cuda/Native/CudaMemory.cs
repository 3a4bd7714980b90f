namespace Fossil.Cuda.Native;

/// <summary>Memory of a device and of the host beside it, and copies on the default stream, for the context of a device.</summary>
internal sealed unsafe class CudaMemory(CudaDriver driver, nint context)
{
    /// <summary>Memory of the device.</summary>
    /// <param name="bytes">How much.</param>
    /// <exception cref="CudaException">There is not so much.</exception>
    public nint Allocate(long bytes)
    {
        using var current = driver.Enter(context);
        nint address;
        driver.Check(((delegate* unmanaged<nint*, nuint, int>)driver.Export("cuMemAlloc_v2"))(&address, (nuint)bytes), "cuMemAlloc", $"{bytes:N0} bytes of a CUDA device");
        return address;
    }

    /// <summary>Gives back what <see cref="Allocate"/> gave.</summary>
    public void Free(nint address)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, int>)driver.Export("cuMemFree_v2"))(address), "cuMemFree");
    }

    /// <summary>Memory of the host that stays where it is, so that the device copies from it while the host goes on.</summary>
    public nint AllocatePinned(long bytes)
    {
        using var current = driver.Enter(context);
        nint address;
        driver.Check(((delegate* unmanaged<nint*, nuint, uint, int>)driver.Export("cuMemHostAlloc"))(&address, (nuint)bytes, 0), "cuMemHostAlloc", $"{bytes:N0} bytes of pinned memory");
        return address;
    }

    /// <summary>Gives back what <see cref="AllocatePinned"/> gave.</summary>
    public void FreePinned(nint address)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, int>)driver.Export("cuMemFreeHost"))(address), "cuMemFreeHost");
    }

    /// <summary>Copies to the device, behind what was launched before. Returns at once where the source is pinned: it must stay as it is until an event behind the copy has come.</summary>
    public void CopyToDevice(nint destination, nint source, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, void*, nuint, nint, int>)driver.Export("cuMemcpyHtoDAsync_v2"))(destination, (void*)source, (nuint)bytes, 0), "cuMemcpyHtoDAsync");
    }

    /// <summary>Copies to the host, behind what was launched before, and waits for it.</summary>
    public void CopyToHost(nint destination, nint source, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<void*, nint, nuint, int>)driver.Export("cuMemcpyDtoH_v2"))((void*)destination, source, (nuint)bytes), "cuMemcpyDtoH");
    }

    /// <summary>Copies within the device, behind what was launched before.</summary>
    public void CopyOnDevice(nint destination, nint source, long bytes)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, nint, nuint, nint, int>)driver.Export("cuMemcpyDtoDAsync_v2"))(destination, source, (nuint)bytes, 0), "cuMemcpyDtoDAsync");
    }

    /// <summary>An event, for <see cref="Record"/>.</summary>
    public nint CreateEvent()
    {
        using var current = driver.Enter(context);
        nint made;
        driver.Check(((delegate* unmanaged<nint*, uint, int>)driver.Export("cuEventCreate"))(&made, 0), "cuEventCreate");
        return made;
    }

    /// <summary>Has an event come when all is done that was launched before.</summary>
    public void Record(nint @event)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, nint, int>)driver.Export("cuEventRecord"))(@event, 0), "cuEventRecord");
    }

    /// <summary>Waits until an event has come; at once where it was never recorded.</summary>
    /// <exception cref="CudaException">What was launched before it failed.</exception>
    public void Wait(nint @event)
    {
        using var current = driver.Enter(context);
        driver.Check(((delegate* unmanaged<nint, int>)driver.Export("cuEventSynchronize"))(@event), "cuEventSynchronize");
    }

    /// <summary>Milliseconds between two events that have come.</summary>
    public float Elapsed(nint first, nint second)
    {
        using var current = driver.Enter(context);
        float milliseconds;
        driver.Check(((delegate* unmanaged<float*, nint, nint, int>)driver.Export("cuEventElapsedTime"))(&milliseconds, first, second), "cuEventElapsedTime");
        return milliseconds;
    }
}
