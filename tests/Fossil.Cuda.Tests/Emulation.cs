using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;

namespace Fossil.Cuda.Tests;

/// <summary>A CUDA source compiled as C++ against <c>Native/emulation.h</c>, as a library of this process.</summary>
internal sealed unsafe class Emulation
{
    private static readonly ConcurrentDictionary<string, Lazy<Emulation>> Compiled = [];

    private readonly delegate* unmanaged<void*, nuint, void> addMemory;
    private readonly delegate* unmanaged<void> forgetMemory;
    private readonly delegate* unmanaged<byte*, uint*, uint*, void**, byte*> launch;
    private readonly delegate* unmanaged<ulong*, void> traffic;
    private readonly Lock oneLaunch = new();

    private Emulation(string source)
    {
        Tools.Require("g++");
        var folder = Directory.CreateTempSubdirectory("fossil-emulation-");
        var file = Path.Combine(folder.FullName, "kernels");
        File.WriteAllText(file + ".cpp", $"#include \"{Path.Combine(AppContext.BaseDirectory, "Native", "emulation.h")}\"\n{source}\n{string.Join("\n", KernelSource.KernelsOf(source).Select(name => $"REGISTER({name})"))}\n");
        // Several such libraries live in one process, each with its own state.
        Tools.Run("g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-fno-gnu-unique", "-fvisibility=hidden", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-variable", "-Werror", file + ".cpp", "-o", file + ".so");
        Library = file + ".so";
        var library = NativeLibrary.Load(Library);
        addMemory = (delegate* unmanaged<void*, nuint, void>)NativeLibrary.GetExport(library, "fossil_memory");
        forgetMemory = (delegate* unmanaged<void>)NativeLibrary.GetExport(library, "fossil_forget_memory");
        traffic = (delegate* unmanaged<ulong*, void>)NativeLibrary.GetExport(library, "fossil_traffic");
        launch = (delegate* unmanaged<byte*, uint*, uint*, void**, byte*>)NativeLibrary.GetExport(library, "fossil_launch");
    }

    /// <summary>The library.</summary>
    public string Library { get; }

    /// <summary>What the last launch moved between global memory and registers.</summary>
    public EmulatedTraffic Traffic
    {
        get
        {
            var numbers = stackalloc ulong[5];
            traffic(numbers);
            return new((long)numbers[0], (long)numbers[1], (long)numbers[2], (long)numbers[3], (long)numbers[4]);
        }
    }

    /// <summary>The library of a source; compiled once.</summary>
    public static Emulation Of(string source) => Compiled.GetOrAdd(source, static text => new(() => new(text))).Value;

    /// <summary>Runs a kernel.</summary>
    /// <param name="call">The launch.</param>
    /// <param name="memory">The memory that it may use; none: any.</param>
    /// <returns>What the emulation found wrong; null for nothing.</returns>
    public string? Run(CudaLaunch call, params IEnumerable<(nint Address, long Bytes)> memory)
    {
        lock (oneLaunch)
        {
            foreach (var (address, bytes) in memory) addMemory((void*)address, (nuint)bytes);
            var addresses = stackalloc void*[call.Arguments.Length];
            var grid = stackalloc uint[] { call.Grid.X, call.Grid.Y, 1 };
            var block = stackalloc uint[] { call.Block.X, call.Block.Y, 1 };
            fixed (long* values = call.Arguments.Select(argument => argument.Bits).ToArray())
            {
                for (var i = 0; i < call.Arguments.Length; i++) addresses[i] = values + i;
                fixed (byte* name = Encoding.UTF8.GetBytes(call.Kernel + '\0'))
                {
                    var error = Marshal.PtrToStringUTF8((nint)launch(name, grid, block, addresses));
                    forgetMemory();
                    return error;
                }
            }
        }
    }
}

/// <summary>What the threads of a launch move.</summary>
/// <param name="Loads">Loads from global memory.</param>
/// <param name="LoadedBytes">Their bytes; each is of the memory or of a cache.</param>
/// <param name="Stores">Stores to global memory.</param>
/// <param name="StoredBytes">Their bytes.</param>
/// <param name="Products">Products by tensor cores, of a warp each.</param>
internal sealed record EmulatedTraffic(long Loads, long LoadedBytes, long Stores, long StoredBytes, long Products);
