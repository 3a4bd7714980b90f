using System.Runtime.InteropServices;
using Fossil.Cuda.Native;

namespace Fossil.Cuda.Tests;

/// <summary><c>Native/fake_nvrtc.cpp</c>: a compiler that compiles nothing, and fails as a test asks it to.</summary>
internal sealed unsafe class FakeNvrtc
{
    private static readonly Lazy<FakeNvrtc> Whole = new(() => new()), WithoutMachineCode = new(() => new("-DWITHOUT_MACHINE_CODE"));

    private readonly nint library;

    private FakeNvrtc(params IEnumerable<string> options)
    {
        Tools.Require("g++");
        var file = Path.Combine(Directory.CreateTempSubdirectory("fossil-nvrtc-").FullName, "libnvrtc.so");
        Tools.Run("g++", ["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Werror", .. options, Path.Combine(AppContext.BaseDirectory, "Native", "fake_nvrtc.cpp"), "-o", file]);
        library = NativeLibrary.Load(file);
    }

    /// <summary>Programs that were created and not destroyed.</summary>
    public int Programs => ((delegate* unmanaged<int>)Export("fake_nvrtc_programs"))();

    public int Compilations => ((delegate* unmanaged<int>)Export("fake_nvrtc_compilations"))();

    /// <summary>The compiler as new.</summary>
    public static FakeNvrtc Reset(Version? version = null, string log = "", bool makesMachineCode = true, params int[] architectures)
    {
        var nvrtc = (makesMachineCode ? Whole : WithoutMachineCode).Value;
        var text = Marshal.StringToCoTaskMemUTF8(log);
        fixed (int* known = architectures.Length > 0 ? architectures : [75, 80, 90])
        {
            ((delegate* unmanaged<int, int, int*, int, byte*, void>)nvrtc.Export("fake_nvrtc_reset"))(version?.Major ?? 13, version?.Minor ?? 5, known, architectures.Length > 0 ? architectures.Length : 3, (byte*)text);
        }
        Marshal.FreeCoTaskMem(text);
        return nvrtc;
    }

    /// <summary>Has a function fail from now on.</summary>
    public FakeNvrtc Fail(string function, int code)
    {
        var name = Marshal.StringToCoTaskMemUTF8(function);
        ((delegate* unmanaged<byte*, int, void>)Export("fake_nvrtc_fail"))((byte*)name, code);
        Marshal.FreeCoTaskMem(name);
        return this;
    }

    public Nvrtc Open() => new(library);

    private nint Export(string name) => NativeLibrary.GetExport(library, name);
}
