using System.Diagnostics;
using System.Globalization;
using Fossil.TestData;
using Fossil.Tests.Kernels;
using Fossil.Training;

namespace Fossil.Tests.Training;

/// <summary>
/// Training runs in a process of their own, which a test can kill or starve, and kernels in one whose vectors are narrower: this test assembly is also a program.
/// </summary>
internal static class ChildProcess
{
    private const string Command = "train";
    public const int Steps = 40;

    /// <summary>The arguments are the command, the output folder, and the step after which the process kills itself (0: never).</summary>
    public static int Main(string[] arguments)
    {
        if (arguments is [KernelCases.Command, var bits]) return ShardKernelCases.RunAll(bits);
        if (arguments is not [Command, var folder, var killAfter])
        {
            Console.Error.WriteLine($"usage: {Command} FOLDER STEP");
            return 2;
        }

        using var model = new TinyLanguageModel();
        using var adapted = model.AttachAdapters();
        var options = new TrainingArguments
        {
            OutputDirectory = folder,
            MaxSteps = Steps,
            BatchSize = 4,
            GradientAccumulationSteps = 2,
            LearningRate = 0.01,
            LearningRateScheduler = LearningRateSchedulerType.Cosine,
            WarmupSteps = 5,
            WeightDecay = 0.01,
            SaveSteps = 6,
            SaveTotalLimit = 2,
            LoggingSteps = 4,
        };
        try
        {
            var kill = new KillAfter(int.Parse(killAfter, CultureInfo.InvariantCulture));
            var result = new Trainer<TokenBatch>(adapted, model.Loss, options, TinyLanguageModel.Data(), callbacks: [kill]).Train(resume: true);
            Console.WriteLine($"{result.Outcome} {result.State.GlobalStep} {string.Join(' ', result.State.Logs.Select(log => log.Loss.ToString("R", CultureInfo.InvariantCulture)))}");
            return 0;
        }
        catch (TrainingException exception)
        {
            Console.Error.WriteLine($"{exception.GetType().Name}: {exception.Message}");
            return 1;
        }
    }

    /// <summary>The program as shell text.</summary>
    public static string CommandLine(string folder, int killAfter = 0) =>
        $"\"{Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet"}\" \"{typeof(ChildProcess).Assembly.Location}\" {Command} \"{folder}\" {killAfter.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Runs the program; <paramref name="prefix"/> are shell commands before it.</summary>
    public static Task<(int ExitCode, string Output, string Error)> Run(string folder, int killAfter = 0, string prefix = "") =>
        Shell($"{prefix} exec {CommandLine(folder, killAfter)}");

    /// <summary>Runs shell text.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> Shell(string text)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", text]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Process.Kill is SIGKILL: nothing is flushed, nothing is disposed.</summary>
    private sealed class KillAfter(int step) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state)
        {
            if (state.GlobalStep != step) return true;
            using var own = Process.GetCurrentProcess();
            own.Kill();
            own.WaitForExit();
            return true;
        }
    }
}
