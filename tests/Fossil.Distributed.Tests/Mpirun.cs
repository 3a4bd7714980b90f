using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;

namespace Fossil.Distributed.Tests;

/// <summary>Starts the program of this assembly on several ranks.</summary>
internal static class Mpirun
{
    /// <summary>The implementations, which are installed side by side.</summary>
    public static readonly string[] Implementations = ["openmpi", "mpich"];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly ConcurrentDictionary<(string, int, string), Lazy<Job>> Jobs = [];

    /// <summary>A scenario that runs to its end, once for all tests that look at what it found.</summary>
    public static Job Once(string implementation, int ranks, string scenario) => Jobs.GetOrAdd((implementation, ranks, scenario), key => new(() => Start(key.Item1, key.Item2, key.Item3).Wait())).Value;

    /// <summary>Starts a scenario; skips the test where the launcher is not installed.</summary>
    public static Job Start(string implementation, int ranks, string scenario, params string[] arguments)
    {
        var launcher = $"mpirun.{implementation}";
        Skip.IfNot(Array.Exists((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), folder => File.Exists(Path.Combine(folder, launcher))), $"{launcher} is not installed: apt-get install {(implementation == "mpich" ? "mpich" : "openmpi-bin")}");
        var folder = Directory.CreateTempSubdirectory("fossil-mpi-").FullName;
        var start = new ProcessStartInfo(launcher) { RedirectStandardError = true, RedirectStandardOutput = true };
        string[] options = implementation == "mpich" ? [] : ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
        string[] program = [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", typeof(Mpirun).Assembly.Location, scenario, folder];
        foreach (var argument in (string[])[.. options, "-np", $"{ranks}", .. program, .. arguments]) start.ArgumentList.Add(argument);

        // Ranks share two cores and a container's little shared memory.
        foreach (var (name, value) in new[] { ("OMP_NUM_THREADS", "1"), ("DOTNET_TieredPGO", "0"), ("OMPI_MCA_btl_vader_segment_size", "4194304"), ("MPICH_ASYNC_PROGRESS", "0") }) start.Environment[name] = value;
        return new(Process.Start(start)!, folder, ranks);
    }

    /// <summary>A job that was started.</summary>
    public sealed class Job
    {
        private readonly StringBuilder output = new();

        public Job(Process process, string folder, int ranks)
        {
            (Process, Folder, Ranks) = (process, folder, ranks);
            process.OutputDataReceived += Take;
            process.ErrorDataReceived += Take;
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        /// <summary>The launcher.</summary>
        public Process Process { get; }

        /// <summary>Where the ranks write what they found.</summary>
        public string Folder { get; }

        /// <summary>How many there are.</summary>
        public int Ranks { get; }

        /// <summary>What was written so far, by all ranks and the launcher.</summary>
        public string Output
        {
            get
            {
                lock (output) return output.ToString();
            }
        }

        /// <summary>Waits for the end of the job, whatever it is.</summary>
        public Job Wait()
        {
            if (!Process.WaitForExit(Patience))
            {
                Process.Kill(entireProcessTree: true);
                Assert.Fail($"The job did not end.\n{Output}");
            }

            Process.WaitForExit();
            return this;
        }

        /// <summary>Waits until a rank has written a line.</summary>
        public string WaitFor(int rank, string name)
        {
            for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < Patience; Thread.Sleep(20))
            {
                if (Of(rank).TryGetValue(name, out var value)) return value;
                Assert.False(Process.HasExited && !Of(rank).ContainsKey(name), $"The job has ended.\n{Output}");
            }

            throw new TimeoutException($"Rank {rank} never came to '{name}'.\n{Output}");
        }

        /// <summary>What a rank found.</summary>
        public IReadOnlyDictionary<string, string> Of(int rank) => RankResults.Of(Folder, rank);

        /// <summary>What a rank found under a name.</summary>
        public string Value(int rank, string name) => Of(rank).TryGetValue(name, out var value) ? value : throw new InvalidOperationException($"Rank {rank} found no '{name}':\n{string.Join('\n', Of(rank))}\n{Output}");

        private void Take(object sender, DataReceivedEventArgs line)
        {
            lock (output) output.AppendLine(line.Data);
        }
    }
}
