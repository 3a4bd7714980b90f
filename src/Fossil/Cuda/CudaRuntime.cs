using System.Collections.Concurrent;
using Fossil.Cuda.Native;

namespace Fossil.Cuda;

/// <summary>Driver, compiler and devices. What is missing is said once, and then there is no device: libtorch's operations compute.</summary>
/// <param name="driver">Finds the driver.</param>
/// <param name="nvrtc">Finds the compiler.</param>
/// <param name="cache">Where compiled kernels are kept.</param>
internal sealed class CudaRuntime(Func<CudaDriver> driver, Func<Nvrtc> nvrtc, CudaCache cache)
{
    private const string Switch = "FOSSIL_CUDA";

    private readonly ConcurrentDictionary<int, Lazy<CudaDevice?>> devices = [];
    private readonly Lazy<(CudaDriver Driver, Nvrtc Nvrtc)?> libraries = new(() => Find(driver, nvrtc));

    /// <summary>The process's: the libraries are looked for when the first tensor on a CUDA device asks for a kernel.</summary>
    public static CudaRuntime OfProcess { get; } = new(static () => new(CudaLibrary.Driver.Load()), static () => new(CudaLibrary.Nvrtc.Load()), CudaCache.OfUser());

    /// <summary>The device of this number; null where kernels cannot run on it.</summary>
    public CudaDevice? Device(int ordinal) => devices.GetOrAdd(ordinal, number => new(() => Open(number))).Value;

    private static (CudaDriver Driver, Nvrtc Nvrtc)? Find(Func<CudaDriver> driver, Func<Nvrtc> nvrtc)
    {
        if (string.Equals(Environment.GetEnvironmentVariable(Switch), "off", StringComparison.OrdinalIgnoreCase)) return null;
        try
        {
            return (driver(), nvrtc());
        }
        catch (CudaException exception)
        {
            Report(exception);
            return null;
        }
    }

    private static void Report(CudaException exception) =>
        FossilWarnings.Report($"No CUDA kernels: {exception.Message} libtorch's operations take their place, which are slower. {Switch}=off in the environment says that this is meant.");

    private CudaDevice? Open(int ordinal)
    {
        if (libraries.Value is not var (driver, nvrtc)) return null;
        try
        {
            return new(driver, nvrtc, cache, ordinal);
        }
        catch (CudaException exception)
        {
            Report(exception);
            return null;
        }
    }
}
