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
    [InlineData(3)]
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
        Assert.True(parameters.SequenceEqual(Read(folder, "model.safetensors")), where);
        Assert.True(optimizer.SequenceEqual(Read(folder, "optimizer.safetensors")), where);
        Assert.Equal(output, resumed.Output);
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task AProcessKilledAtAnyMomentLeavesNothingHalf(int seed)
    {
        Skip.If(OperatingSystem.IsWindows(), "needs a POSIX shell");
        var milliseconds = new Random(seed * 1000 + Environment.ProcessId).Next(900, 2500);
        var seconds = (milliseconds / 1000.0).ToString(System.Globalization.CultureInfo.InvariantCulture);
        await ChildProcess.Run(folder.FullName, prefix: $"(sleep {seconds}; kill -9 $$) >/dev/null 2>&1 &");
        var resumed = await ChildProcess.Run(folder.FullName);
        Assert.True(resumed.ExitCode == 0, $"killed after {milliseconds} ms: {resumed.Error}");
        var (parameters, _, output) = await Uninterrupted.Value;
        Assert.True(parameters.SequenceEqual(Read(folder, "model.safetensors")), $"killed after {milliseconds} ms");
        Assert.Equal(output, resumed.Output);
        Assert.Equal(["checkpoint-36", "checkpoint-40"], folder.GetFileSystemInfos().Select(entry => entry.Name).Order());
    }

    [SkippableFact]
    public async Task AFullDiskIsNamedAndTheCheckpointsBeforeItStay()
    {
        Skip.If(OperatingSystem.IsWindows(), "needs a POSIX shell");
        Assert.Equal(137, (await ChildProcess.Run(folder.FullName, killAfter: 8)).ExitCode);

        // A limit on the size of files, in blocks of 512 bytes, stands in for the full disk: the optimizer's file does not fit.
        var full = await ChildProcess.Run(folder.FullName, prefix: "trap '' XFSZ; ulimit -f 20;");
        Assert.Equal(1, full.ExitCode);
        Assert.Contains("CheckpointWriteException", full.Error);
        Assert.Contains("checkpoint-6", full.Error);
        Assert.Equal(["checkpoint-6"], folder.GetFileSystemInfos().Select(entry => entry.Name));

        Assert.Equal(0, (await ChildProcess.Run(folder.FullName)).ExitCode);
        Assert.True((await Uninterrupted.Value).Parameters.SequenceEqual(Read(folder, "model.safetensors")));
    }

    private static async Task<(byte[] Parameters, byte[] Optimizer, string Output)> RunUninterrupted()
    {
        var folder = Directory.CreateTempSubdirectory("fossil-uninterrupted-");
        try
        {
            var (exitCode, output, error) = await ChildProcess.Run(folder.FullName);
            Assert.True(exitCode == 0, error);
            return (Read(folder, "model.safetensors"), Read(folder, "optimizer.safetensors"), output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static byte[] Read(DirectoryInfo folder, string file) => File.ReadAllBytes(Path.Combine(folder.FullName, $"checkpoint-{ChildProcess.Steps}", file));
}
