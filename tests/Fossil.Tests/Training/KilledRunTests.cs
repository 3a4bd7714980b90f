using System.Security.Cryptography;

namespace Fossil.Tests.Training;

/// <summary>What stays when a training process ends the hard way.</summary>
public sealed class KilledRunTests : IDisposable
{
    private static readonly Lazy<Task<(byte[] Parameters, byte[] Optimizer, string Output)>> Uninterrupted = new(RunUninterrupted);
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fossil-killed-");

    public void Dispose() => folder.Delete(recursive: true);

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task ResumedRunsEndInTheSameBits(int seed)
    {
        Skip.If(OperatingSystem.IsWindows(), "needs a POSIX shell");
        var random = new Random(seed * 1000 + Environment.ProcessId);
        var steps = new[] { random.Next(1, ChildProcess.Steps), random.Next(1, ChildProcess.Steps) };
        var where = $"killed after steps {string.Join(" and ", steps)}";
        foreach (var step in steps)
        {
            // The second kill may lie before the checkpoint that the first one left; then the run simply ends.
            var killed = await ChildProcess.Run(folder.FullName, step);
            Assert.True(killed.ExitCode is 137 or 0, $"{where}: {killed.Error}");
        }

        var resumed = await ChildProcess.Run(folder.FullName);
        Assert.True(resumed.ExitCode == 0, $"{where}: {resumed.Error}");
        var (parameters, optimizer, output) = await Uninterrupted.Value;
        Assert.True(parameters.SequenceEqual(Read(folder, "adapter_model.safetensors")), where);
        Assert.True(optimizer.SequenceEqual(Read(folder, "optimizer.safetensors")), where);
        Assert.Equal(output, resumed.Output);
    }

    [SkippableTheory]
    [InlineData(1)]
    public async Task AProcessKilledAtAnyMomentLeavesNothingHalf(int seed)
    {
        Skip.If(OperatingSystem.IsWindows(), "needs a POSIX shell");
        var milliseconds = new Random(seed * 1000 + Environment.ProcessId).Next(900, 2500);
        var seconds = (milliseconds / 1000.0).ToString(System.Globalization.CultureInfo.InvariantCulture);
        await ChildProcess.Run(folder.FullName, prefix: $"(sleep {seconds}; kill -9 $$) >/dev/null 2>&1 &");
        var resumed = await ChildProcess.Run(folder.FullName);
        Assert.True(resumed.ExitCode == 0, $"killed after {milliseconds} ms: {resumed.Error}");
        var (parameters, _, output) = await Uninterrupted.Value;
        Assert.True(parameters.SequenceEqual(Read(folder, "adapter_model.safetensors")), $"killed after {milliseconds} ms");
        Assert.Equal(output, resumed.Output);
        Assert.Equal(["checkpoint-36", "checkpoint-40"], folder.GetFileSystemInfos().Select(entry => entry.Name).Order());
    }

    [SkippableFact]
    public async Task AFullDiskIsNamedAndTheRunGoesOnOnceThereIsRoom()
    {
        // A file system of its own with room for one checkpoint, mounted where only this process sees it.
        const string Mount = "unshare -rm sh -c 'mount -t tmpfs -o size=32k tmpfs \"$0\"'";
        Skip.IfNot((await ChildProcess.Shell($"{Mount} {folder.FullName}")).ExitCode == 0, "mounting is not allowed here");
        var (_, output, error) = await ChildProcess.Shell(
            $"""
            unshare -rm sh -c 'mount -t tmpfs -o size=32k tmpfs "$0" && {ChildProcess.CommandLine("$0")}; ls -A "$0"; mount -o remount,size=4m "$0" && {ChildProcess.CommandLine("$0")} && cat "$0"/checkpoint-40/adapter_model.safetensors | sha256sum' {folder.FullName}
            """);
        Assert.Contains("CheckpointWriteException", error);
        Assert.Contains("No space left on device", error);
        Assert.Contains("checkpoint-6 was touched; resume from there", error);
        var (parameters, _, uninterrupted) = await Uninterrupted.Value;
        Assert.Equal($"checkpoint-6\n{uninterrupted}{Convert.ToHexStringLower(SHA256.HashData(parameters))}  -\n", output);
    }

    [SkippableFact]
    public async Task ALimitOnTheSizeOfFilesIsNamedAndTheCheckpointsBeforeStay()
    {
        Skip.If(OperatingSystem.IsWindows(), "needs a POSIX shell");
        Assert.Equal(137, (await ChildProcess.Run(folder.FullName, killAfter: 8)).ExitCode);

        // 8 blocks of 512 bytes. Without the setting the run time itself needs larger files.
        var limited = await ChildProcess.Run(folder.FullName, prefix: "export DOTNET_EnableWriteXorExecute=0; trap '' XFSZ; ulimit -f 8;");
        Assert.Equal(1, limited.ExitCode);
        Assert.Contains("CheckpointWriteException", limited.Error);
        Assert.Equal(["checkpoint-6"], folder.GetFileSystemInfos().Select(entry => entry.Name));
    }

    private static async Task<(byte[] Parameters, byte[] Optimizer, string Output)> RunUninterrupted()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-uninterrupted-");
        try
        {
            var (exitCode, output, error) = await ChildProcess.Run(folder.FullName);
            Assert.True(exitCode == 0, error);
            return (Read(folder, "adapter_model.safetensors"), Read(folder, "optimizer.safetensors"), output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static byte[] Read(DirectoryInfo folder, string file) => File.ReadAllBytes(Path.Combine(folder.FullName, $"checkpoint-{ChildProcess.Steps}", file));
}
