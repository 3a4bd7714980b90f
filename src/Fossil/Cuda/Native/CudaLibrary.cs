using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Fossil.CompilerServices;

namespace Fossil.Cuda.Native;

/// <summary>
/// One of NVIDIA's libraries and where it may be: the file that an environment variable names; loaded already; beside libtorch, which brings its own; where CUDA is installed. The package depends on
/// none of them.
/// </summary>
/// <param name="Name">What it is, for messages.</param>
/// <param name="Variable">The environment variable that names its file.</param>
/// <param name="Files">Its file names: libtorch's have a hash or a version in them.</param>
/// <param name="SystemNames">What the system's loader is asked for, the newest first.</param>
/// <param name="Export">A function that the file must have, where it is known by more than its name.</param>
internal sealed record CudaLibrary(string Name, string Variable, Regex Files, IReadOnlyList<string> SystemNames, string? Export = null)
{
    /// <summary>The driver.</summary>
    public static readonly CudaLibrary Driver = DriverOn(OperatingSystem.IsWindows());

    /// <summary>The run-time compiler.</summary>
    public static readonly CudaLibrary Nvrtc = NvrtcOn(OperatingSystem.IsWindows());

    /// <summary>Dense products.</summary>
    public static readonly CudaLibrary Cublas = CublasOn(OperatingSystem.IsWindows());

    /// <summary>Operations between devices. libtorch has a file of it, or has it in its own library.</summary>
    public static readonly CudaLibrary Nccl = new("NCCL", "FOSSIL_NCCL", Pattern(@"^(libnccl(-[0-9a-f]+)?\.so(\.[0-9.]+)?|libtorch_cuda\.so)$"), ["libnccl.so.2", "libnccl.so"], "ncclCommInitRank");

    /// <summary>Loads it.</summary>
    /// <returns>Its handle, which stays open for the life of the process.</returns>
    /// <exception cref="CudaException">It is not there.</exception>
    public nint Load()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } file)
        {
            return NativeLibrary.TryLoad(file, out var named) ? named : throw new CudaException($"{Variable} names {file}, which cannot be loaded as {Name}. Correct the variable, or remove it to have {Name} looked for.");
        }

        foreach (var candidate in Candidates(CudaPlaces.OfProcess()))
        {
            if (NativeLibrary.TryLoad(candidate, out var handle) && (Export is null || NativeLibrary.TryGetExport(handle, Export, out _))) return handle;
        }
        throw new CudaException($"{Name} was not found in the process, beside libtorch or in the system. Install it, or name its file in {Variable}.");
    }

    /// <summary>What is tried, in that order.</summary>
    public IEnumerable<string> Candidates(CudaPlaces places) =>
        [.. places.LoadedFiles.Where(file => Files.IsMatch(Path.GetFileName(file))), .. places.LibtorchFolders.SelectMany(FilesIn), .. SystemNames, .. places.InstalledFolders.SelectMany(FilesIn)];

    internal static CudaLibrary DriverOn(bool isWindows) => isWindows
        ? new("the CUDA driver", "FOSSIL_CUDA_DRIVER", WindowsPattern(@"^nvcuda\.dll$"), ["nvcuda.dll"])
        : new("the CUDA driver", "FOSSIL_CUDA_DRIVER", Pattern(@"^libcuda\.so(\.1)?$"), ["libcuda.so.1"]);

    internal static CudaLibrary NvrtcOn(bool isWindows) => isWindows
        ? new("NVRTC", "FOSSIL_NVRTC", WindowsPattern(@"^nvrtc64_[0-9_]+\.dll$"), ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"])
        : new("NVRTC", "FOSSIL_NVRTC", Pattern(@"^libnvrtc(-[0-9a-f]+)?\.so(\.[0-9.]+)?$"), ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]);

    internal static CudaLibrary CublasOn(bool isWindows) => isWindows
        ? new("cuBLAS", "FOSSIL_CUBLAS", WindowsPattern(@"^cublas64_[0-9]+\.dll$"), ["cublas64_13.dll", "cublas64_12.dll"])
        : new("cuBLAS", "FOSSIL_CUBLAS", Pattern(@"^libcublas(-[0-9a-f]+)?\.so(\.[0-9.]+)?$"), ["libcublas.so.13", "libcublas.so.12", "libcublas.so"]);

    private static Regex Pattern(string pattern) => new(pattern, RegexOptions.CultureInvariant);

    /// <summary>Windows keeps the case of a file's name, and does not distinguish it.</summary>
    private static Regex WindowsPattern(string pattern) => new(pattern, RegexOptions.CultureInvariant | RegexOptions.IgnoreCase);

    private IEnumerable<string> FilesIn(string folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder).Where(file => Files.IsMatch(Path.GetFileName(file))).Order(StringComparer.Ordinal)
        : [];
}

/// <summary>Where NVIDIA's libraries may be, besides the folders that the system's loader knows.</summary>
/// <param name="LoadedFiles">What the process has loaded.</param>
/// <param name="LibtorchFolders">Where libtorch lies.</param>
/// <param name="InstalledFolders">Where CUDA is installed.</param>
internal sealed record CudaPlaces(IReadOnlyList<string> LoadedFiles, IReadOnlyList<string> LibtorchFolders, IReadOnlyList<string> InstalledFolders)
{
    /// <summary>Those of this process.</summary>
    public static CudaPlaces OfProcess()
    {
        using var process = Process.GetCurrentProcess();
        string[] loaded = [.. process.Modules.Cast<ProcessModule>().Select(module => module.FileName)];
        var searched = ((string?)AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        var libtorch = loaded.Where(file => Path.GetFileName(file).Contains(NativeTensor.Library, StringComparison.Ordinal)).Select(file => Path.GetDirectoryName(file)!);
        return new(loaded, [.. searched.Concat(libtorch).Distinct()], Installed(OperatingSystem.IsWindows(), Environment.GetEnvironmentVariable));
    }

    /// <summary>Where a toolkit's libraries are under the folders that its variables name: on Windows <c>bin</c>, and as of CUDA 13 <c>bin\x64</c>.</summary>
    /// <param name="isWindows">Whether it is Windows.</param>
    /// <param name="variable">The environment.</param>
    internal static IReadOnlyList<string> Installed(bool isWindows, Func<string, string?> variable) =>
    [
        .. new[] { variable("CUDA_PATH"), variable("CUDA_HOME"), isWindows ? null : "/usr/local/cuda" }.OfType<string>().Where(root => root.Length > 0)
            .SelectMany(root => (isWindows ? new[] { "bin/x64", "bin" } : ["lib64", "lib"]).Select(folder => Path.Combine(root, folder))),
    ];
}
