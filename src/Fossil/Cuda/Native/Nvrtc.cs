using System.Runtime.InteropServices;
using System.Text;

namespace Fossil.Cuda.Native;

/// <summary>What NVRTC made of a source.</summary>
/// <param name="Image">Machine code, or PTX for a device that NVRTC does not know yet; the driver loads either.</param>
/// <param name="Ptx">The PTX.</param>
/// <param name="Log">What the compiler said.</param>
internal sealed record CudaBinary(byte[] Image, string Ptx, string Log);

/// <summary>NVIDIA's run-time compiler for CUDA C. It needs neither a device nor a driver. Safe for several threads.</summary>
internal sealed unsafe class Nvrtc
{
    private readonly delegate* unmanaged<int*, int*, int> version;
    private readonly delegate* unmanaged<int*, int> archCount;
    private readonly delegate* unmanaged<int*, int> archs;
    private readonly delegate* unmanaged<int, byte*> errorString;
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> create;
    private readonly delegate* unmanaged<nint*, int> destroy;
    private readonly delegate* unmanaged<nint, int, byte**, int> compile;
    private readonly nint library;

    /// <summary>Takes the functions of a library.</summary>
    /// <param name="library">Its handle.</param>
    /// <exception cref="CudaException">It lacks one of them.</exception>
    public Nvrtc(nint library)
    {
        this.library = library;
        version = (delegate* unmanaged<int*, int*, int>)Export("nvrtcVersion");
        archCount = (delegate* unmanaged<int*, int>)Export("nvrtcGetNumSupportedArchs");
        archs = (delegate* unmanaged<int*, int>)Export("nvrtcGetSupportedArchs");
        errorString = (delegate* unmanaged<int, byte*>)Export("nvrtcGetErrorString");
        create = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Export("nvrtcCreateProgram");
        destroy = (delegate* unmanaged<nint*, int>)Export("nvrtcDestroyProgram");
        compile = (delegate* unmanaged<nint, int, byte**, int>)Export("nvrtcCompileProgram");

        int major, minor, count;
        Check(version(&major, &minor), "nvrtcVersion");
        Version = new(major, minor);
        Check(archCount(&count), "nvrtcGetNumSupportedArchs");
        var known = new int[count];
        fixed (int* first = known) Check(archs(first), "nvrtcGetSupportedArchs");
        Architectures = known;
    }

    /// <summary>Its version.</summary>
    public Version Version { get; }

    /// <summary>The architectures that it makes machine code for: 90 is compute capability 9.0.</summary>
    public IReadOnlyList<int> Architectures { get; }

    /// <summary>Compiles a source: to machine code where NVRTC knows the architecture, to PTX of the newest one before it otherwise.</summary>
    /// <param name="source">CUDA C that includes nothing.</param>
    /// <param name="name">What the source is, for messages.</param>
    /// <param name="architecture">As in <see cref="Architectures"/>.</param>
    /// <param name="options">Further options of the compiler.</param>
    /// <exception cref="CudaException">It does not compile, or the architecture is older than all that NVRTC knows.</exception>
    public CudaBinary Compile(string source, string name, int architecture, params ReadOnlySpan<string> options)
    {
        var target = Architectures.Where(known => known <= architecture).DefaultIfEmpty(0).Max();
        if (target == 0) throw new CudaException($"NVRTC {Version} makes no code for compute capability {architecture / 10}.{architecture % 10}, as that of this device; the oldest that it knows is {Architectures.Min()}.");
        var isExact = target == architecture;
        string[] all = [$"--gpu-architecture={(isExact ? "sm" : "compute")}_{target}", "--std=c++17", .. options];

        nint program;
        fixed (byte* text = Terminated(source), label = Terminated(name)) Check(create(&program, text, label, 0, null, null), "nvrtcCreateProgram");
        CudaBinary binary;
        try
        {
            binary = Compile(program, all, name, target, isExact);
        }
        catch
        {
            // What came first is what is said.
            destroy(&program);
            throw;
        }

        Check(destroy(&program), "nvrtcDestroyProgram");
        return binary;
    }

    private CudaBinary Compile(nint program, string[] options, string name, int target, bool isExact)
    {
        var texts = options.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
        try
        {
            int code;
            fixed (nint* first = texts) code = compile(program, texts.Length, (byte**)first);
            var log = Text(program, "nvrtcGetProgramLog");
            if (code != 0) throw new CudaException($"NVRTC {Version} does not compile {name} for compute capability {target / 10}.{target % 10} ({ErrorName(code)}). What it said:\n{log}");
            var ptx = Text(program, "nvrtcGetPTX");
            return new(isExact ? Bytes(program, "nvrtcGetCUBIN") : Terminated(ptx), ptx, log);
        }
        finally
        {
            foreach (var text in texts) Marshal.FreeCoTaskMem(text);
        }
    }

    private static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');

    private string Text(nint program, string function) => Encoding.UTF8.GetString(Bytes(program, function)).TrimEnd('\0');

    private byte[] Bytes(nint program, string function)
    {
        nuint size;
        Check(((delegate* unmanaged<nint, nuint*, int>)Export(function + "Size"))(program, &size), function + "Size");
        var bytes = new byte[size];
        fixed (byte* first = bytes) Check(((delegate* unmanaged<nint, byte*, int>)Export(function))(program, first), function);
        return bytes;
    }

    private void Check(int code, string function)
    {
        if (code != 0) throw new CudaException($"NVRTC's {function} failed: {ErrorName(code)}.");
    }

    private string ErrorName(int code) => Marshal.PtrToStringUTF8((nint)errorString(code)) ?? $"error {code}";

    private nint Export(string function) => NativeLibrary.TryGetExport(library, function, out var address)
        ? address
        : throw new CudaException($"The library that was found as NVRTC has no function {function}: it is too old (CUDA 11.2 is the oldest), or another library. Name the right file in {CudaLibrary.Nvrtc.Variable}.");
}
