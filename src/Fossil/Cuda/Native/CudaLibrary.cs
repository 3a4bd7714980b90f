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
    public static readonly CudaLibrary Driver = OperatingSystem.IsWindows()
        ? new("the CUDA driver", "FOSSIL_CUDA_DRIVER", Pattern(@"^nvcuda\.dll$"), ["nvcuda.dll"])
        : new("the CUDA driver", "FOSSIL_CUDA_DRIVER", Pattern(@"^libcuda\.so(\.1)?$"), ["libcuda.so.1"]);

    /// <summary>The run-time compiler.</summary>
    public static readonly CudaLibrary Nvrtc = OperatingSystem.IsWindows()
        ? new("NVRTC", "FOSSIL_NVRTC", Pattern(@"^nvrtc64_[0-9_]+\.dll$"), ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"])
        : new("NVRTC", "FOSSIL_NVRTC", Pattern(@"^libnvrtc(-[0-9a-f]+)?\.so(\.[0-9.]+)?$"), ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]);

    /// <summary>Dense products.</summary>
    public static readonly CudaLibrary Cublas = OperatingSystem.IsWindows()
        ? new("cuBLAS", "FOSSIL_CUBLAS", Pattern(@"^cublas64_[0-9]+\.dll$"), ["cublas64_13.dll", "cublas64_12.dll"])
        : new("cuBLAS", "FOSSIL_CUBLAS", Pattern(@"^libcublas(-[0-9a-f]+)?\.so(\.[0-9.]+)?$"), ["libcublas.so.13", "libcublas.so.12", "libcublas.so"]);

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

        foreach (var candidate in LoadedFiles().Concat(BesideLibtorch()).Concat(SystemNames).Concat(InstalledFiles()))
        {
            if (NativeLibrary.TryLoad(candidate, out var handle) && (Export is null || NativeLibrary.TryGetExport(handle, Export, out _))) return handle;
        }
        throw new CudaException($"{Name} was not found in the process, beside libtorch or in the system. Install it, or name its file in {Variable}.");
    }

    private static Regex Pattern(string pattern) => new(pattern, RegexOptions.CultureInvariant);

    private IEnumerable<string> LoadedFiles()
    {
        using var process = Process.GetCurrentProcess();
        return [.. process.Modules.Cast<ProcessModule>().Select(module => module.FileName).Where(file => Files.IsMatch(Path.GetFileName(file)))];
    }

    private IEnumerable<string> BesideLibtorch()
    {
        var folders = ((string?)AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).ToList();
        using var process = Process.GetCurrentProcess();
        folders.AddRange(process.Modules.Cast<ProcessModule>().Where(module => module.ModuleName.Contains(NativeTensor.Library, StringComparison.Ordinal)).Select(module => Path.GetDirectoryName(module.FileName)!));
        return folders.Distinct().SelectMany(FilesIn);
    }

    private IEnumerable<string> InstalledFiles()
    {
        var roots = new[] { Environment.GetEnvironmentVariable("CUDA_PATH"), Environment.GetEnvironmentVariable("CUDA_HOME"), OperatingSystem.IsWindows() ? null : "/usr/local/cuda" };
        return roots.OfType<string>().Where(root => root.Length > 0).SelectMany(root => new[] { "bin", "lib64", "lib" }.SelectMany(folder => FilesIn(Path.Combine(root, folder))));
    }

    private IEnumerable<string> FilesIn(string folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder).Where(file => Files.IsMatch(Path.GetFileName(file))).Order(StringComparer.Ordinal)
        : [];
}
