using System.Collections.Concurrent;
using Fossil.Cuda.Native;

namespace Fossil.Cuda;

/// <summary>A device: its context, and the sources that were compiled for it.</summary>
internal sealed class CudaDevice
{
    private readonly CudaDriver driver;
    private readonly Nvrtc nvrtc;
    private readonly CudaCache cache;
    private readonly nint context;
    private readonly string name;
    private readonly ConcurrentDictionary<string, Lazy<Module>> modules = [];

    /// <summary>The device of this number, which is libtorch's too.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public CudaDevice(CudaDriver driver, Nvrtc nvrtc, CudaCache cache, int ordinal)
    {
        (this.driver, this.nvrtc, this.cache) = (driver, nvrtc, cache);
        var device = driver.Device(ordinal);
        Architecture = (driver.Attribute(device, CudaDriver.Major) * 10) + driver.Attribute(device, CudaDriver.Minor);
        Multiprocessors = driver.Attribute(device, CudaDriver.MultiprocessorCount);
        name = driver.Name(device);
        context = driver.PrimaryContext(device);
        Memory = new(driver, context);
    }

    /// <summary>Its compute capability: 90 is 9.0.</summary>
    public int Architecture { get; }

    /// <summary>How many there are.</summary>
    public int Multiprocessors { get; }

    /// <summary>Its memory.</summary>
    public CudaMemory Memory { get; }

    /// <summary>Compiles a source, or takes it from the cache, and loads it; once.</summary>
    /// <param name="source">CUDA C.</param>
    /// <param name="name">What it is, for messages.</param>
    /// <returns>Whether it can be launched. Where not, one message has said why.</returns>
    public bool Prepare(string source, string name) => ModuleOf(source, name).Failure is null;

    /// <summary>Launches a kernel of a source.</summary>
    /// <param name="source">A source that was prepared.</param>
    /// <param name="call">The launch.</param>
    /// <param name="stream">Where; null for libtorch's stream.</param>
    /// <exception cref="CudaException">The driver refuses it.</exception>
    public void Launch(string source, CudaLaunch call, CudaStream? stream = null)
    {
        var module = ModuleOf(source, call.Kernel);
        driver.Launch(context, module.Functions.TryGetValue(call.Kernel, out var function) ? function : module.Functions.GetOrAdd(call.Kernel, Find(module, call)), call, stream?.Handle ?? 0);
    }

    /// <summary>A stream beside libtorch's.</summary>
    public CudaStream NewStream() => new(driver, context);

    /// <summary>Makes it this thread's device until what is returned is disposed.</summary>
    public CudaDriver.Current Enter() => driver.Enter(context);

    /// <summary>A product by cuBLAS: C (rows, columns) = L (rows, inner) R (inner, columns) + beta · C.</summary>
    /// <exception cref="CudaException">cuBLAS refuses it, or a graph is being captured.</exception>
    public void Multiply(Cublas cublas, CublasMatrix left, CublasMatrix right, CublasMatrix result, (int Rows, int Columns, int Inner) size, float beta, string name)
    {
        using var current = driver.Enter(context);
        driver.RefuseCapture(name);
        cublas.Multiply(context, left, right, result, size.Rows, size.Columns, size.Inner, beta, name);
    }

    /// <summary>What it is and works with, for reports.</summary>
    public IReadOnlyDictionary<string, string> Describe() => new Dictionary<string, string>
    {
        ["name"] = name, ["compute_capability"] = $"{Architecture / 10}.{Architecture % 10}", ["multiprocessors"] = $"{Multiprocessors}", ["driver"] = $"{driver.Version}", ["nvrtc"] = $"{nvrtc.Version}",
    };

    private Module ModuleOf(string source, string name) => modules.GetOrAdd(source, text => new(() => Load(text, name))).Value;

    /// <summary>A kernel of a module, which takes what the launch has.</summary>
    private nint Find(Module module, CudaLaunch call)
    {
        var function = driver.Function(context, module.Handle, call.Kernel);
        driver.CheckArguments(context, function, call);
        return function;
    }

    private Module Load(string source, string name)
    {
        var isMade = false;
        try
        {
            var image = cache.Get([source, $"sm_{Architecture}", $"NVRTC {nvrtc.Version}"], () => nvrtc.Compile(source, name, Architecture).Image);
            isMade = true;
            return new(driver.LoadModule(context, image, name), null);
        }
        catch (CudaException exception)
        {
            var versions = isMade && driver.Version < nvrtc.Version
                ? $" The driver runs CUDA up to {driver.Version}, the code is that of NVRTC {nvrtc.Version}: install a newer driver, or name an older NVRTC in {CudaLibrary.Nvrtc.Variable}."
                : "";
            FossilWarnings.Report($"libtorch's operations take the place of {name}: {exception.Message}{versions}");
            return new(0, exception);
        }
    }

    private sealed record Module(nint Handle, CudaException? Failure)
    {
        public ConcurrentDictionary<string, nint> Functions { get; } = [];
    }
}
