using System.Runtime.InteropServices;
using Fossil.Cuda.Native;

namespace Fossil.Cuda.Tests;

/// <summary><c>Native/fake_driver.cpp</c>, <c>fake_cublas.cpp</c> and <c>fake_nccl.cpp</c>: driver, cuBLAS and NCCL without a device, whose launches run emulated kernels, and whose products are computed, on host memory. It is one for the process, so the tests that use it follow each other.</summary>
internal sealed unsafe class FakeDriver
{
    /// <summary>A device that NVRTC does not know: it gets PTX, which says what parameters a kernel has.</summary>
    public const int NewArchitecture = 300;

    private static readonly Lazy<FakeDriver> Built = new(() => new());

    private FakeDriver()
    {
        Tools.Require("g++");
        var file = Path.Combine(Directory.CreateTempSubdirectory("fossil-driver-").FullName, "libcuda.so");
        Tools.Run("g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Werror", Native("fake_driver.cpp"), Native("fake_cublas.cpp"), Native("fake_nccl.cpp"), "-o", file);
        Library = NativeLibrary.Load(file);
        LibraryFile = file;
    }

    /// <summary>Its file, for another process.</summary>
    public string LibraryFile { get; }

    public nint Library { get; }

    public int Launches => ((delegate* unmanaged<int>)Export("fake_launches"))();

    public int LaunchesOf(string kernel)
    {
        var name = Marshal.StringToCoTaskMemUTF8(kernel);
        var count = ((delegate* unmanaged<byte*, int>)Export("fake_launches_of"))((byte*)name);
        Marshal.FreeCoTaskMem(name);
        return count;
    }

    /// <summary>Products by cuBLAS, and the handles that they were made with.</summary>
    public (int Products, int Handles) Cublas => (((delegate* unmanaged<int>)Export("fake_products"))(), ((delegate* unmanaged<int>)Export("fake_handles"))());

    /// <summary>Bytes that were copied to the device.</summary>
    public long BytesToDevice => ((delegate* unmanaged<long>)Export("fake_bytes_to_device"))();

    /// <summary>Pieces of memory that the driver gave and nobody gave back.</summary>
    public int Allocations => ((delegate* unmanaged<int>)Export("fake_allocations"))();

    public int Loads => ((delegate* unmanaged<int>)Export("fake_loads"))();

    /// <summary>What a real driver would have refused, or the emulation found; null for nothing.</summary>
    public string? Error => Marshal.PtrToStringUTF8((nint)((delegate* unmanaged<byte*>)Export("fake_error"))());

    /// <summary>Contexts that this thread has pushed and not popped.</summary>
    public int Contexts => ((delegate* unmanaged<int>)Export("fake_contexts"))();

    /// <summary>The driver as new.</summary>
    public static FakeDriver Reset(int architecture = NewArchitecture, int version = 13050, int devices = 1, bool isCapturing = false)
    {
        var driver = Built.Value;
        ((delegate* unmanaged<int, int, int, int, void>)driver.Export("fake_reset"))(architecture, version, devices, isCapturing ? 1 : 0);
        ((delegate* unmanaged<void>)driver.Export("fake_cublas_reset"))();
        driver.Nccl();
        driver.Run(null);
        return driver;
    }

    /// <summary>NCCL's version as its number, and a function that fails from now on with a code: <c>ncclSend:3</c>.</summary>
    public void Nccl(int version = 22103, string fails = "")
    {
        var text = Marshal.StringToCoTaskMemUTF8(fails);
        ((delegate* unmanaged<int, byte*, void>)Export("fake_nccl"))(version, (byte*)text);
        Marshal.FreeCoTaskMem(text);
    }

    /// <summary>Groups of NCCL's operations that this thread has begun and not ended.</summary>
    public int NcclGroups => ((delegate* unmanaged<int>)Export("fake_nccl_depth"))();

    /// <summary>Has a function fail from now on.</summary>
    public void Fail(string function, int code)
    {
        var name = Marshal.StringToCoTaskMemUTF8(function);
        ((delegate* unmanaged<byte*, int, void>)Export("fake_fail"))((byte*)name, code);
        Marshal.FreeCoTaskMem(name);
    }

    /// <summary>Launches run the kernels of this source too; of none where it is null.</summary>
    public void Run(string? source) => ((delegate* unmanaged<nint, void>)Export("fake_emulation"))(source is null ? 0 : NativeLibrary.GetExport(NativeLibrary.Load(Emulation.Of(source).Library), "fossil_launch"));

    /// <summary>A run time on this driver with NVIDIA's compiler, or another, and an empty cache.</summary>
    public CudaRuntime Runtime(string? folder = null, Func<Nvrtc>? nvrtc = null)
    {
        nvrtc ??= Tools.RequireNvrtc;
        return new(() => new(Library), nvrtc, new(folder ?? Directory.CreateTempSubdirectory("fossil-cache-").FullName), () => new(Library));
    }

    private static string Native(string file) => Path.Combine(AppContext.BaseDirectory, "Native", file);

    private nint Export(string name) => NativeLibrary.GetExport(Library, name);
}
