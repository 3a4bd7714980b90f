using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fossil.Distributed.Tests;

/// <summary>Starts the program of this assembly on several ranks.</summary>
internal static class Mpirun
{
    /// <summary>The implementations, which are installed side by side.</summary>
    public static readonly string[] Implementations = ["openmpi", "mpich"];

    /// <summary>No MPI: processes that find each other by the variables of torchrun.</summary>
    public const string Variables = "variables";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly ConcurrentDictionary<(string, int, string), Lazy<Job>> Jobs = [];

    /// <summary>A scenario that runs to its end, once for all tests that look at what it found.</summary>
    public static Job Once(string implementation, int ranks, string scenario) => Jobs.GetOrAdd((implementation, ranks, scenario), key => new(() => Start(key.Item1, key.Item2, key.Item3).Wait())).Value;

    /// <summary>Starts a scenario; skips the test where the launcher is not installed.</summary>
    public static Job Start(string implementation, int ranks, string scenario, params string[] arguments) => Start(implementation, ranks, [], scenario, arguments);

    /// <inheritdoc cref="Start(string, int, string, string[])"/>
    /// <param name="implementation">Whose launcher; or <see cref="Variables"/>.</param>
    /// <param name="ranks">How many.</param>
    /// <param name="environment">Variables that the ranks get.</param>
    /// <param name="scenario">The scenario.</param>
    /// <param name="arguments">What it takes.</param>
    public static Job Start(string implementation, int ranks, IEnumerable<(string Name, string Value)> environment, string scenario, params string[] arguments)
    {
        var folder = Directory.CreateTempSubdirectory("fossil-mpi-").FullName;
        return StartProgram(implementation, ranks, environment, folder, typeof(Mpirun).Assembly.Location, [scenario, folder, .. arguments]);
    }

    /// <summary>Starts any program of .NET.</summary>
    public static Job StartProgram(string implementation, int ranks, IEnumerable<(string Name, string Value)> environment, string folder, string assembly, params string[] arguments)
    {
        string[] program = [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", assembly, .. arguments];
        var start = implementation == Variables ? OfVariables(ranks, program) : OfMpi(implementation, ranks, program);
        (start.RedirectStandardError, start.RedirectStandardOutput) = (true, true);

        // Ranks share two cores and a container's little shared memory.
        (string, string)[] few = [("OMP_NUM_THREADS", "1"), ("DOTNET_TieredPGO", "0"), ("OMPI_MCA_btl_vader_segment_size", "4194304"), ("MPICH_ASYNC_PROGRESS", "0")];
        foreach (var (name, value) in few.Concat(environment)) start.Environment[name] = value;
        return new(Process.Start(start)!, folder, ranks);
    }

    private static ProcessStartInfo OfMpi(string implementation, int ranks, string[] program)
    {
        var launcher = $"mpirun.{implementation}";
        Skip.IfNot(IsInstalled(implementation), $"{launcher} is not installed: apt-get install {(implementation == "mpich" ? "mpich" : "openmpi-bin")}");
        string[] options = implementation == "mpich" ? [] : ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
        return new(launcher, [.. options, "-np", $"{ranks}", .. program]);
    }

    /// <summary>Whether an implementation's launcher is there.</summary>
    public static bool IsInstalled(string implementation) => Array.Exists((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), folder => File.Exists(Path.Combine(folder, $"mpirun.{implementation}")));

    /// <summary>What torchrun does, as far as a process sees it.</summary>
    private static ProcessStartInfo OfVariables(int ranks, string[] program)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var start = new ProcessStartInfo("sh", ["-c", $"for RANK in {string.Join(' ', Enumerable.Range(0, ranks))}; do export RANK LOCAL_RANK=$RANK; \"$@\" & all=\"$all $!\"; done; code=0; for one in $all; do wait $one || code=$?; done; exit $code", "sh", .. program]);
        foreach (var (name, value) in new[] { ("WORLD_SIZE", $"{ranks}"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", $"{((IPEndPoint)listener.LocalEndpoint).Port}") }) start.Environment[name] = value;
        return start;
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
