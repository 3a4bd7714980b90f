using System.Diagnostics;
using System.Globalization;
using Fossil.Training;

namespace Fossil.Distributed.Tests;

/// <summary>A rank that dies or hangs ends the job everywhere in bounded time; the last checkpoint is whole, and the run goes on from it.</summary>
public sealed class FailureTests
{
    // Generous: other tests run beside these.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private static readonly Lazy<double[]> Uninterrupted = new(() =>
    {
        var folder = Directory.CreateTempSubdirectory("fossil-mpi-").FullName;
        LongRunScenario.Run(new(folder), [Path.Combine(folder, "out"), "nothing", "0", "0"]);
        return Values(RankResults.Of(folder, 0)["values"]);
    });

    /// <summary>Started together: what they do is wait.</summary>
    private static readonly Lazy<Dictionary<string, Mpirun.Job>> Hanging = new(() => Mpirun.Implementations.Where(Mpirun.IsInstalled).ToDictionary(implementation => implementation, Hang));

    public static TheoryData<string> Implementations => [.. Mpirun.Implementations];

    /// <summary>The rank, the step and the moment are drawn from a seed.</summary>
    [SkippableTheory]
    [InlineData("openmpi", 4, 2)]
    [InlineData("mpich", 2, 3)]
    public void A_run_of_which_a_rank_was_killed_goes_on_with_any_number_of_ranks(string implementation, int ranks, int seed)
    {
        var random = new Random(seed);
        var output = Directory.CreateTempSubdirectory("fossil-run-").FullName;
        var began = Stopwatch.GetTimestamp();
        var killed = Mpirun.Start(implementation, ranks, nameof(LongRunScenario), output, "kill", $"{random.Next(ranks)}", $"{random.Next(LongRunScenario.SaveSteps + 1, LongRunScenario.Steps - 1)}").Wait();
        Assert.True(killed.Process.ExitCode != 0, killed.Output);
        Assert.True(Stopwatch.GetElapsedTime(began) < Bound, $"The job ended after {Stopwatch.GetElapsedTime(began).TotalSeconds:0} s.\n{killed.Output}");

        var resumed = Mpirun.Start(implementation, seed % 2 == 0 ? ranks : 3, nameof(LongRunScenario), output, "nothing", "0", "0").Wait();
        Assert.True(resumed.Process.ExitCode == 0, resumed.Output);
        Assert.Equal("Completed", resumed.Value(0, "outcome"));
        var distance = Uninterrupted.Value.Zip(Values(resumed.Value(0, "values")), (one, other) => Math.Abs(one - other)).Max();
        Assert.True(distance < 1e-10, $"The parameters are {distance:E2} off.");
        if (seed % 2 == 0) Assert.Equal(Whole(implementation, ranks), resumed.Value(0, "values"));
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void A_rank_that_hangs_is_named_and_ends_the_job(string implementation)
    {
        var began = Stopwatch.GetTimestamp();
        var job = (Hanging.Value.GetValueOrDefault(implementation) ?? Hang(implementation)).Wait();
        Assert.True(job.Process.ExitCode != 0, job.Output);
        Assert.Contains("rank 1 did not come", job.Output);
        Assert.True(Stopwatch.GetElapsedTime(began) < Bound, job.Output);
    }

    [SkippableTheory]
    [InlineData("openmpi", "file")]
    [InlineData("mpich", "USR1")]
    [InlineData("openmpi", "USR1")]
    public void A_run_that_is_asked_saves_and_stops_and_goes_on(string implementation, string how)
    {
        var output = Directory.CreateTempSubdirectory("fossil-run-").FullName;
        var job = Mpirun.Start(implementation, 2, nameof(LongRunScenario), output, "slow", "0", "0");
        job.WaitFor(0, "now");
        if (how == "file") File.WriteAllText(Path.Combine(output, "stop"), "");
        else Process.Start("kill", ["-USR1", $"{job.Process.Id}"]).WaitForExit();
        job.Wait();
        Assert.True(job.Process.ExitCode == 0, job.Output);
        foreach (var rank in new[] { 0, 1 }) Assert.Equal("Cancelled", job.Value(rank, "outcome"));
        var step = int.Parse(job.Value(0, "step"), CultureInfo.InvariantCulture);
        Assert.InRange(step, 1, LongRunScenario.Steps - 1);
        Assert.Equal($"checkpoint-{step}", Path.GetFileName(new CheckpointStore(output).Latest));

        var resumed = Mpirun.Start(implementation, 2, nameof(LongRunScenario), output, "nothing", "0", "0").Wait();
        Assert.Equal(Whole(implementation, 2), resumed.Value(0, "values"));
    }

    [SkippableTheory]
    [MemberData(nameof(Implementations))]
    public void Ctrl_C_at_the_launcher_leaves_the_last_checkpoint_whole(string implementation)
    {
        var output = Directory.CreateTempSubdirectory("fossil-run-").FullName;
        var job = Mpirun.Start(implementation, 2, nameof(LongRunScenario), output, "slow", "0", "0");
        while (int.Parse(job.WaitFor(0, "now"), CultureInfo.InvariantCulture) <= LongRunScenario.SaveSteps) Thread.Sleep(20);
        Process.Start("kill", ["-INT", $"{job.Process.Id}"]).WaitForExit();
        job.Wait();
        CheckpointContents.Read(new CheckpointStore(output).Latest!);

        var resumed = Mpirun.Start(implementation, 2, nameof(LongRunScenario), output, "nothing", "0", "0").Wait();
        Assert.Equal(Whole(implementation, 2), resumed.Value(0, "values"));
    }

    private static Mpirun.Job Hang(string implementation) => Mpirun.Start(implementation, 3, nameof(LongRunScenario), Directory.CreateTempSubdirectory("fossil-run-").FullName, "hang", "1", "3");

    /// <summary>What the same ranks come to without a break.</summary>
    private static string Whole(string implementation, int ranks)
    {
        var job = Wholes.GetOrAdd((implementation, ranks), key => new(() => Mpirun.Start(key.Item1, key.Item2, nameof(LongRunScenario), Directory.CreateTempSubdirectory("fossil-run-").FullName, "nothing", "0", "0").Wait())).Value;
        return job.Value(0, "values");
    }

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<(string, int), Lazy<Mpirun.Job>> Wholes = [];

    private static double[] Values(string text) => [.. text.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
}
