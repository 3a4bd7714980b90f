using System.Diagnostics;
using System.Text.Json;

namespace Fossil.Cuda.Tests;

/// <summary>The program that checks the kernels on a GPU, and the script beside it, in processes of their own with the driver without a device; several of them with one cache.</summary>
[Collection(nameof(FakeDriver))]
public sealed class CheckProgramTests
{
    private static readonly string[] Options = ["--quick", "--shard-sizes", "16", "--types", "Float32", "--formats", "Q4_K"];

    private static string Program => Path.Combine(Tools.Repository, "tools", "cuda-check", "Fossil.CudaCheck", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "Fossil.CudaCheck.dll");

    /// <summary>The kernels of formats have the same names, so that the driver without a device has those of one at a time.</summary>
    [SkippableTheory, InlineData("Q4_K"), InlineData("Q8_0")]
    public void EveryCaseRunsAndIsRight(string format)
    {
        var folder = Directory.CreateTempSubdirectory("fossil-check-").FullName;
        var report = Path.Combine(folder, "check.json");
        var (code, text) = Finish(Start(folder, "dotnet", [Program, "run", "--output", report, .. Options[..^1], format]));
        Assert.True(code == 0, text);

        using var json = JsonDocument.Parse(File.ReadAllText(report));
        Assert.Equal("a device of the tests", json.RootElement.GetProperty("device").GetProperty("name").GetString());
        var cases = json.RootElement.GetProperty("cases").EnumerateArray().ToList();
        Assert.Equal(
            ["adamw", "add_tiled", "backward", "cross_entropy", "forward", "gelu_gate", "gelu_gate_backward", "multiply_encoded", "rms_norm", "rms_norm_input_gradient", "rms_norm_weight_gradient", "rotary", "rotary_backward", "shard_sum", "silu_gate", "silu_gate_backward", "squared_norm", "write_encoded"],
            cases.Select(one => one.GetProperty("name").GetString()).Distinct().Order());
        Assert.All(cases, one => Assert.True(one.GetProperty("passed").GetBoolean() && one.GetProperty("microseconds").GetDouble() > 0 && one.GetProperty("host_microseconds").GetDouble() > 0, one.ToString()));
    }

    /// <summary>What the program writes down is what the script launches, and what it gives is what the eager formulas say, where Python has PyTorch; without it the script has two cases to compare.</summary>
    [SkippableFact]
    public void TheScriptLaunchesWhatIsWrittenDown()
    {
        Tools.Require("python3");
        var folder = Directory.CreateTempSubdirectory("fossil-check-").FullName;
        var (code, text) = Finish(Start(folder, "dotnet", [Program, "dump", "--output", folder, .. Options]));
        Assert.True(code == 0, text);
        Assert.Equal(["decoder_Float32.cu", "encoded_Q4_K_Float32.cu", "optimizer.cu", "shard_16_Float32.cu"], Directory.GetFiles(folder, "*.cu").Select(Path.GetFileName).Order());
        Assert.Contains("#define Element float", File.ReadAllText(Path.Combine(folder, "shard_16_Float32.cu")), StringComparison.Ordinal);

        var result = Path.Combine(folder, "peft.json");
        (code, text) = Finish(Start(folder, "python3", [Path.Combine(Tools.Repository, "tools", "cuda-check", "cuda.py"), folder, "--output", result, "--device", "cpu"]));
        Assert.True(code == 0, text);
        using var json = JsonDocument.Parse(File.ReadAllText(result));
        var hasTorch = json.RootElement.GetProperty("about").GetProperty("torch").ValueKind == JsonValueKind.String;
        string[] cases = [.. json.RootElement.GetProperty("cases").EnumerateArray().Select(one => one.GetProperty("name").GetString()!)];
        Assert.Equal(
            hasTorch
                ? ["add_tiled", "backward", "cross_entropy", "forward", "gelu_gate", "gelu_gate_backward", "rms_norm", "rms_norm_input_gradient", "rms_norm_weight_gradient", "rotary", "rotary_backward", "shard_sum", "silu_gate", "silu_gate_backward"]
                : ["shard_sum"],
            cases.Distinct().Order());
        Assert.Equal(2, cases.Count(name => name == "shard_sum"));
    }

    /// <summary>Processes that compile the same at the same time leave whole entries, and one for each source; damaged ones are compiled again.</summary>
    [SkippableFact]
    public void SeveralProcessesShareACache()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-check-").FullName;
        void PrepareInFourProcesses()
        {
            foreach (var process in Enumerable.Range(0, 4).Select(_ => Start(folder, "dotnet", [Program, "prepare", .. Options])).ToList())
            {
                var (code, text) = Finish(process);
                Assert.True(code == 0 && text.Length == 0, text);
            }
        }

        PrepareInFourProcesses();
        var entries = Directory.GetFiles(folder);
        Assert.Equal(4, entries.Length);
        Assert.All(entries, entry => Assert.EndsWith(".cubin", entry, StringComparison.Ordinal));
        var contents = entries.ToDictionary(entry => entry, File.ReadAllBytes);
        foreach (var (turn, entry) in entries.Index()) File.WriteAllBytes(entry, turn == 0 ? [] : turn == 1 ? contents[entry][..^1] : [.. contents[entry][..^1], (byte)~contents[entry][^1]]);

        PrepareInFourProcesses();
        Assert.Equal(entries.Order(), Directory.GetFiles(folder).Order());
        Assert.All(entries, entry => Assert.Equal(contents[entry], File.ReadAllBytes(entry)));
    }

    /// <summary>Steps of a decoder by TorchSharp on a libtorch that lies elsewhere; where it lies nowhere, the file says that they are skipped, and why.</summary>
    [SkippableFact]
    public void StepsRunOnTheLibtorchThatIsNamedOrAreSkipped()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-check-").FullName;
        JsonElement Step(string libtorch)
        {
            var report = Path.Combine(folder, "step.json");
            var (code, text) = Finish(Start(folder, "dotnet", [Program, "step", "--output", report, "--libtorch", libtorch, "--quick", "--device", "CPU"]));
            Assert.True(code == 0, text);
            return JsonDocument.Parse(File.ReadAllText(report)).RootElement;
        }

        var step = Step(AppContext.BaseDirectory);
        Assert.True(step.GetProperty("passed").GetBoolean() && step.GetProperty("milliseconds_a_step").GetDouble() > 0, step.ToString());
        var losses = step.GetProperty("losses").EnumerateArray().Select(loss => loss.GetDouble()).ToList();
        Assert.True(losses.Count == 3 && losses[2] < losses[0], step.ToString());
        Assert.Contains("/nowhere/libtorch_cpu.so", Step("/nowhere").GetProperty("skipped").GetString(), StringComparison.Ordinal);
    }

    /// <summary>What the process lacks is said, and by name.</summary>
    [SkippableFact]
    public void WithoutADriverTheProgramSaysSo()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-check-").FullName;
        var (code, text) = Finish(Start(folder, "dotnet", [Program, "prepare", .. Options], ("FOSSIL_CUDA_DRIVER", "/nowhere/libcuda.so")));
        Assert.Equal(1, code);
        Assert.Contains("/nowhere/libcuda.so", text, StringComparison.Ordinal);
    }

    private static Process Start(string cache, string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        Tools.RequireNvrtc();
        var format = arguments.SkipWhile(argument => argument != "--formats").Skip(1).FirstOrDefault() ?? Options[^1];
        var driver = FakeDriver.Reset().LibraryFile;
        var kernels = new[] { CudaShardSource.Of(16, CudaElement.All[0]), CudaDecoderSource.Of(CudaElement.All[0]), CudaOptimizerLaunches.Source, Encoded(format) }.Select(source => Emulation.Of(source).Library);
        static string Encoded(string format) => CudaEncodedSource.Of(CudaEncodedFormat.Find(format)!, CudaElement.All[0], CudaElement.All[0]);
        ProcessStartInfo start = new(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        (string Name, string Value)[] all = [("FOSSIL_CUDA_DRIVER", driver), ("FOSSIL_CUBLAS", driver), ("FOSSIL_NVRTC", Tools.NvrtcFile!), ("FOSSIL_CUDA_CACHE", cache), ("FOSSIL_FAKE_CUDA_KERNELS", string.Join(':', kernels)), .. environment];
        foreach (var (name, value) in all) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private static (int Code, string Text) Finish(Process process)
    {
        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output.Result + error);
        }
    }
}
