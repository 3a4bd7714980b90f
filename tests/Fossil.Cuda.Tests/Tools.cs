using System.Collections.Concurrent;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Fossil.Cuda.Native;

namespace Fossil.Cuda.Tests;

/// <summary>The compilers that these tests need; a test whose compiler is missing is skipped and says so.</summary>
internal static class Tools
{
    private static readonly Lazy<Nvrtc?> FoundNvrtc = new(FindNvrtc);

    private static readonly ConcurrentDictionary<string, bool> Programs = [];

    /// <summary>Where the repository lies.</summary>
    public static string Repository { get; } = typeof(Tools).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(metadata => metadata.Key == "RepositoryRoot").Value!;

    /// <summary>NVIDIA's compiler: FOSSIL_NVRTC, or where <c>tools/cuda-check/nvrtc.sh</c> unpacks it.</summary>
    public static Nvrtc RequireNvrtc()
    {
        Skip.If(FoundNvrtc.Value is null, "No NVRTC: run tools/cuda-check/nvrtc.sh, which unpacks shared/tools/nvrtc, or name the library's file in FOSSIL_NVRTC.");
        return FoundNvrtc.Value!;
    }

    /// <summary>The file of NVRTC, for a child process or a copy.</summary>
    public static string? NvrtcFile => Environment.GetEnvironmentVariable("FOSSIL_NVRTC") is { Length: > 0 } named ? named : Array.Find([Path.Combine(Repository, "artifacts", "nvrtc", "libnvrtc.so.13")], File.Exists);

    /// <summary>Skips the test where a program is not installed.</summary>
    public static void Require(string program, string argument = "--version")
    {
        var isThere = Programs.GetOrAdd(program, name =>
        {
            try
            {
                return TryRun(name, [argument]).Code == 0;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                return false;
            }
        });
        Skip.IfNot(isThere, $"{program} is not installed (apt-get install {program}).");
    }

    /// <summary>Runs a program; what it wrote is the message if it fails.</summary>
    public static void Run(string program, params IEnumerable<string> arguments)
    {
        var (code, text) = TryRun(program, arguments);
        Assert.True(code == 0, $"{program} ends with {code}: {text}");
    }

    private static (int Code, string Text) TryRun(string program, IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output.Result + error);
    }

    private static Nvrtc? FindNvrtc() => NvrtcFile is { } file ? new(NativeLibrary.Load(file)) : null;
}
