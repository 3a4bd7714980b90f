using Fossil.Cuda.Native;

namespace Fossil.Cuda.Tests;

/// <summary>Where NVIDIA's libraries are looked for. What they are called is a function of the platform, so Windows's names are tested anywhere.</summary>
public sealed class LibraryTests
{
    [Theory]
    [InlineData("nvcuda.dll", "driver")]
    [InlineData("NVCUDA.DLL", "driver")]
    [InlineData("nvrtc64_120_0.dll", "nvrtc")]
    [InlineData("nvrtc64_130_0.dll", "nvrtc")]
    [InlineData("nvrtc64_120_0.alt.dll", "")]
    [InlineData("nvrtc-builtins64_130.dll", "")]
    [InlineData("cublas64_12.dll", "cublas")]
    [InlineData("cublasLt64_12.dll", "")]
    [InlineData("nvcuda64.dll", "")]
    [InlineData("libcuda.so.1", "")]
    public void NamesOnWindows(string file, string library) => AssertIsOf(file, library, isWindows: true);

    [Theory]
    [InlineData("libcuda.so.1", "driver")]
    [InlineData("libcuda.so", "driver")]
    [InlineData("libcudart.so.12", "")]
    [InlineData("libnvrtc.so.13", "nvrtc")]
    [InlineData("libnvrtc-672ee683.so.11.2", "nvrtc")]
    [InlineData("libnvrtc-builtins.so.13.0", "")]
    [InlineData("libcublas.so.12", "cublas")]
    [InlineData("libcublasLt.so.12", "")]
    [InlineData("nvrtc64_120_0.dll", "")]
    public void NamesOnLinux(string file, string library) => AssertIsOf(file, library, isWindows: false);

    private static void AssertIsOf(string file, string library, bool isWindows) => Assert.Equal(
        library,
        string.Concat(new[] { ("driver", CudaLibrary.DriverOn(isWindows)), ("nvrtc", CudaLibrary.NvrtcOn(isWindows)), ("cublas", CudaLibrary.CublasOn(isWindows)) }.Where(one => one.Item2.Files.IsMatch(file)).Select(one => one.Item1)));

    /// <summary>What the process has loaded, then what lies beside libtorch, then what the system's loader finds, the newest first, then CUDA's folders.</summary>
    [Theory]
    [InlineData(true, "nvrtc64_120_0.dll", "nvrtc-builtins64_128.dll", "nvrtc64_130_0.dll nvrtc64_120_0.dll")]
    [InlineData(false, "libnvrtc.so.12", "libnvrtc-builtins.so.12.8", "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so")]
    public void TheOrderOfPlaces(bool isWindows, string file, string other, string ofSystem)
    {
        var root = Directory.CreateTempSubdirectory("fossil-libraries-").FullName;
        string[] folders = [.. new[] { "loaded", "libtorch", "cuda" }.Select(folder => Directory.CreateDirectory(Path.Combine(root, folder)).FullName)];
        foreach (var folder in folders)
        {
            foreach (var name in new[] { file, other }) File.WriteAllText(Path.Combine(folder, name), "");
        }

        CudaPlaces places = new([Path.Combine(folders[0], other), Path.Combine(folders[0], file)], [folders[1], Path.Combine(root, "nowhere")], [folders[2]]);
        Assert.Equal([Path.Combine(folders[0], file), Path.Combine(folders[1], file), .. ofSystem.Split(' '), Path.Combine(folders[2], file)], CudaLibrary.NvrtcOn(isWindows).Candidates(places));
    }

    [Fact]
    public void FoldersOfAToolkit()
    {
        static string? Variable(string name) => name == "CUDA_PATH" ? "toolkit" : "";
        Assert.Equal(["toolkit/bin/x64", "toolkit/bin"], CudaPlaces.Installed(isWindows: true, Variable));
        Assert.Equal(["toolkit/lib64", "toolkit/lib", "/usr/local/cuda/lib64", "/usr/local/cuda/lib"], CudaPlaces.Installed(isWindows: false, Variable));
    }
}
