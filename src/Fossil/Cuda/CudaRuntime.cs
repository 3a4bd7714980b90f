using System.Collections.Concurrent;
using Fossil.Cuda.Native;

namespace Fossil.Cuda;

/// <summary>Driver, compiler and devices. What is missing is said once, and then there is no device: libtorch's operations compute.</summary>
/// <param name="driver">Finds the driver.</param>
/// <param name="nvrtc">Finds the compiler.</param>
/// <param name="cache">Where compiled kernels are kept.</param>
/// <param name="cublas">Finds cuBLAS.</param>
internal sealed class CudaRuntime(Func<CudaDriver> driver, Func<Nvrtc> nvrtc, CudaCache cache, Func<Cublas> cublas)
{
    private const string Switch = "FOSSIL_CUDA";

    private readonly ConcurrentDictionary<int, Lazy<CudaDevice?>> devices = [];
    private readonly Lazy<(CudaDriver Driver, Nvrtc Nvrtc)?> libraries = new(() => IsOff ? null : Find(() => ((CudaDriver, Nvrtc)?)(driver(), nvrtc()), "No CUDA kernels"));
    private readonly Lazy<Cublas?> products = new(() => Find<Cublas?>(cublas, "No products by cuBLAS"));

    /// <summary>The process's: the libraries are looked for when the first tensor on a CUDA device asks for a kernel.</summary>
    public static CudaRuntime OfProcess { get; } = new(static () => new(CudaLibrary.Driver.Load()), static () => new(CudaLibrary.Nvrtc.Load()), CudaCache.OfUser(), static () => new(CudaLibrary.Cublas.Load()));

    /// <summary>The device of this number; null where kernels cannot run on it.</summary>
    public CudaDevice? Device(int ordinal) => devices.GetOrAdd(ordinal, number => new(() => Open(number))).Value;

    /// <summary>How many devices there are; none without driver and compiler.</summary>
    public int DeviceCount => libraries.Value?.Driver.DeviceCount() ?? 0;

    /// <summary>Products of dense matrices; null where there is no cuBLAS.</summary>
    public Cublas? Cublas => products.Value;

    private static bool IsOff => string.Equals(Environment.GetEnvironmentVariable(Switch), "off", StringComparison.OrdinalIgnoreCase);

    /// <summary>What <paramref name="open"/> opens; null, and said once, where it cannot.</summary>
    private static T? Find<T>(Func<T?> open, string otherwise)
    {
        try
        {
            return open();
        }
        catch (CudaException exception)
        {
            FossilWarnings.Report($"{otherwise}: {exception.Message} libtorch's operations take their place, which are slower. {Switch}=off in the environment says that this is meant.");
            return default;
        }
    }

    private CudaDevice? Open(int ordinal) =>
        libraries.Value is var (driver, nvrtc) ? Find<CudaDevice>(() => new(driver, nvrtc, cache, ordinal), "No CUDA kernels") : null;
}
