using System.Runtime.InteropServices;

namespace Fossil.Cuda.Native;

/// <summary>The functions of the CUDA driver that launches need. Safe for several threads, as the driver is.</summary>
internal sealed unsafe class CudaDriver
{
    /// <summary>Compute capability, major and minor; multiprocessors.</summary>
    public const int Major = 75, Minor = 76, MultiprocessorCount = 16;

    /// <summary>The legacy default stream: TorchSharp works on no other.</summary>
    private const nint DefaultStream = 0;

    /// <summary><c>CUDA_ERROR_STREAM_CAPTURE_IMPLICIT</c>.</summary>
    private const int CaptureOfAnother = 906;

    private readonly nint library;
    private readonly delegate* unmanaged<int, byte**, int> errorName;
    private readonly delegate* unmanaged<int, byte**, int> errorString;
    private readonly delegate* unmanaged<nint, int> pushContext;
    private readonly delegate* unmanaged<nint*, int> popContext;
    private readonly delegate* unmanaged<nint, int*, int> isCapturing;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> launch;

    /// <summary>Takes the functions of a library, and starts the driver.</summary>
    /// <param name="library">Its handle.</param>
    /// <exception cref="CudaException">It lacks a function, or there is no device.</exception>
    public CudaDriver(nint library)
    {
        this.library = library;
        errorName = (delegate* unmanaged<int, byte**, int>)Export("cuGetErrorName");
        errorString = (delegate* unmanaged<int, byte**, int>)Export("cuGetErrorString");
        pushContext = (delegate* unmanaged<nint, int>)Export("cuCtxPushCurrent_v2");
        popContext = (delegate* unmanaged<nint*, int>)Export("cuCtxPopCurrent_v2");
        isCapturing = (delegate* unmanaged<nint, int*, int>)Export("cuStreamIsCapturing");
        launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Export("cuLaunchKernel");
        Check(((delegate* unmanaged<uint, int>)Export("cuInit"))(0), "cuInit");
        int version;
        Check(((delegate* unmanaged<int*, int>)Export("cuDriverGetVersion"))(&version), "cuDriverGetVersion");
        Version = new(version / 1000, version % 1000 / 10);
    }

    /// <summary>The newest CUDA that it runs.</summary>
    public Version Version { get; }

    /// <summary>The device of this number, which is libtorch's too.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public int Device(int ordinal)
    {
        int device;
        Check(((delegate* unmanaged<int*, int, int>)Export("cuDeviceGet"))(&device, ordinal), "cuDeviceGet");
        return device;
    }

    /// <summary>How many there are.</summary>
    public int DeviceCount()
    {
        int count;
        Check(((delegate* unmanaged<int*, int>)Export("cuDeviceGetCount"))(&count), "cuDeviceGetCount");
        return count;
    }

    /// <summary>A number that describes a device, such as <see cref="Major"/>.</summary>
    public int Attribute(int device, int attribute)
    {
        int value;
        Check(((delegate* unmanaged<int*, int, int, int>)Export("cuDeviceGetAttribute"))(&value, attribute, device), "cuDeviceGetAttribute");
        return value;
    }

    /// <summary>What a device calls itself.</summary>
    public string Name(int device)
    {
        const int Longest = 256;
        var name = stackalloc byte[Longest];
        Check(((delegate* unmanaged<byte*, int, int, int>)Export("cuDeviceGetName"))(name, Longest, device), "cuDeviceGetName");
        return Marshal.PtrToStringUTF8((nint)name)!;
    }

    /// <summary>The context that libtorch works in; it stays until the process ends.</summary>
    public nint PrimaryContext(int device)
    {
        nint context;
        Check(((delegate* unmanaged<nint*, int, int>)Export("cuDevicePrimaryCtxRetain"))(&context, device), "cuDevicePrimaryCtxRetain");
        return context;
    }

    /// <summary>Loads machine code or PTX into a context; it stays until the process ends.</summary>
    /// <param name="context">The context.</param>
    /// <param name="image">The code.</param>
    /// <param name="name">What it is, for messages.</param>
    public nint LoadModule(nint context, byte[] image, string name)
    {
        using var current = Enter(context);
        nint module;
        fixed (byte* first = image) Check(((delegate* unmanaged<nint*, void*, int>)Export("cuModuleLoadData"))(&module, first), "cuModuleLoadData", name);
        return module;
    }

    /// <summary>A kernel of a module.</summary>
    public nint Function(nint context, nint module, string kernel)
    {
        using var current = Enter(context);
        nint function;
        var name = Marshal.StringToCoTaskMemUTF8(kernel);
        try
        {
            Check(((delegate* unmanaged<nint*, nint, byte*, int>)Export("cuModuleGetFunction"))(&function, module, (byte*)name), "cuModuleGetFunction", kernel);
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
        }
        return function;
    }

    /// <summary>
    /// Compares the arguments of a launch with the kernel's parameters, in count and sizes: the driver copies as many bytes as the kernel declares, whatever the caller has. A driver before CUDA 12.4
    /// does not tell.
    /// </summary>
    /// <exception cref="CudaException">They differ.</exception>
    public void CheckArguments(nint context, nint function, CudaLaunch call)
    {
        if (!NativeLibrary.TryGetExport(library, "cuFuncGetParamInfo", out var export)) return;
        using var current = Enter(context);
        var sizes = new List<int>();
        nuint offset, size;
        while (((delegate* unmanaged<nint, nuint, nuint*, nuint*, int>)export)(function, (nuint)sizes.Count, &offset, &size) == 0) sizes.Add((int)size);
        if (!call.Arguments.Select(argument => argument.Size).SequenceEqual(sizes))
            throw new CudaException($"{call.Kernel} takes parameters of {string.Join(", ", sizes)} bytes, and was to be launched with arguments of {string.Join(", ", call.Arguments.Select(argument => argument.Size))}: source and launch are of two versions of this library. Rebuild the project that brought it.");
    }

    /// <summary>Launches a kernel: on the default stream behind libtorch's operations and before those to come, or on another.</summary>
    /// <param name="context">The context of the operands.</param>
    /// <param name="function">The kernel.</param>
    /// <param name="call">Grid, block and arguments.</param>
    /// <param name="stream">The stream.</param>
    /// <exception cref="CudaException">The driver refuses the launch, reports the failure of an earlier one, or a graph is being captured.</exception>
    public void Launch(nint context, nint function, CudaLaunch call, nint stream = DefaultStream)
    {
        using var current = Enter(context);
        RefuseCapture(call.Kernel);
        var count = call.Arguments.Length;
        var values = stackalloc long[count];
        var addresses = stackalloc void*[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = call.Arguments[i].Bits;
            addresses[i] = values + i;
        }
        Check(launch(function, call.Grid.X, call.Grid.Y, 1, call.Block.X, call.Block.Y, 1, 0, stream, addresses, null), "cuLaunchKernel", call.Kernel);
    }

    /// <summary>Refuses work while a graph is captured on the default stream.</summary>
    /// <param name="what">The work, for the message.</param>
    /// <exception cref="CudaException">One is.</exception>
    public void RefuseCapture(string what)
    {
        // The default stream itself cannot be captured: while another one is that waits for it, as libtorch's do not, the driver says so by an error.
        int capture;
        var code = isCapturing(DefaultStream, &capture);
        if (code != CaptureOfAnother) Check(code, "cuStreamIsCapturing", what);
        if (code == CaptureOfAnother || capture != 0) throw new CudaException($"{what} was to run while a CUDA graph is captured, which would hold the addresses of tensors that are freed. Capture no graphs around adapted layers, or set FOSSIL_CUDA=off.");
    }

    /// <summary>Makes a context this thread's current one until what is returned is disposed.</summary>
    public Current Enter(nint context)
    {
        Check(pushContext(context), "cuCtxPushCurrent");
        return new(this);
    }

    /// <summary>Throws for what a function answered, unless it is success.</summary>
    /// <param name="code">The answer.</param>
    /// <param name="function">The function.</param>
    /// <param name="what">What it was for, for the message.</param>
    /// <exception cref="CudaException">It is not.</exception>
    public void Check(int code, string function, string? what = null)
    {
        if (code == 0) return;
        byte* name = null, text = null;
        var isKnown = errorName(code, &name) == 0 && errorString(code, &text) == 0;
        var error = isKnown ? $"{Marshal.PtrToStringUTF8((nint)name)} ({Marshal.PtrToStringUTF8((nint)text)})" : $"error {code}";
        throw new CudaException(what is null ? $"The CUDA driver's {function} failed: {error}." : $"{what}: the CUDA driver's {function} failed: {error}.");
    }

    /// <summary>A function of the driver.</summary>
    /// <exception cref="CudaException">It has none of that name.</exception>
    public nint Export(string function) => NativeLibrary.TryGetExport(library, function, out var address)
        ? address
        : throw new CudaException($"The CUDA driver has no function {function}: it is too old. Install a newer one.");

    /// <summary>A context that is this thread's until it is left.</summary>
    public readonly ref struct Current(CudaDriver driver)
    {
        public void Dispose()
        {
            nint context;
            // What the driver says of an earlier launch is said by the call that follows; the stack of contexts is popped whatever it says.
            driver.popContext(&context);
        }
    }
}
