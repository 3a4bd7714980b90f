using Fossil.Cuda;
using Fossil.Cuda.Tests;

namespace Fossil.Distributed.Tests;

/// <summary>Training by several processes whose gradients NCCL carries from device to device, with a driver and an NCCL without a device: streams work beside each other, and memory travels between the processes.</summary>
public sealed class NcclTests
{
    private static readonly string[] Runs = ["fossil float32", "lora float64", "bfloat16 travels"];

    private static readonly Lazy<string> Cache = new(() => Directory.CreateTempSubdirectory("fossil-cache-").FullName);

    /// <summary>What lies flat, what does not, both dtypes, and bfloat16 with error feedback; ranks that MPI has started, and that nobody has.</summary>
    [SkippableTheory]
    [InlineData("openmpi")]
    [InlineData(Mpirun.Variables)]
    public void Devices_sum_to_the_bits_of_MPI(string start)
    {
        var expected = Mpirun.Once("openmpi", 2, nameof(TrainingScenario));
        var job = Mpirun.Start(start, 2, Environment(), nameof(TrainingScenario), Runs).Wait();
        Assert.True(job.Process.ExitCode == 0, job.Output);
        for (var rank = 0; rank < 2; rank++)
        {
            Assert.Equal("NCCL 2.21.3", job.Value(rank, "carried by"));
            Assert.Equal($"{rank}", job.Value(rank, "local rank"));
            foreach (var run in Runs)
            {
                Assert.Equal(expected.Value(0, $"hash of {run}"), job.Value(rank, $"hash of {run}"));
                Assert.Equal(TrainingRuns.Outcome.Of(expected.Value(rank, run)).SentBytes, TrainingRuns.Outcome.Of(job.Value(rank, run)).SentBytes);
            }
        }

        var share = TrainingRuns.Outcome.Of(job.Value(0, "lora float64")).OverlappedShare;
        Assert.True(share >= 0.5, $"{share:P0}");
    }

    /// <summary>Processes without MPI tell each other of those that wait, and give up what is under way on the devices.</summary>
    [SkippableFact]
    public void A_rank_that_hangs_is_named_without_MPI()
    {
        var job = Mpirun.Start(Mpirun.Variables, 3, Environment(), nameof(LongRunScenario), Directory.CreateTempSubdirectory("fossil-run-").FullName, "hang", "1", "3");
        while (!job.Output.Contains("Rank 0 waited", StringComparison.Ordinal) || !job.Output.Contains("Rank 2 waited", StringComparison.Ordinal))
        {
            Assert.False(job.Process.HasExited, job.Output);
            Thread.Sleep(50);
        }

        job.Process.Kill(entireProcessTree: true);
        job.Wait();
        Assert.Equal(2, job.Output.Split("rank 1 did not come").Length - 1);
        Assert.Contains("a communicator is aborted", job.Output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Without_NCCL_gradients_go_through_the_host_and_it_is_said_once()
    {
        var job = Mpirun.Start("openmpi", 2, [.. Environment(), ("FOSSIL_NCCL", "/nowhere/libnccl.so")], nameof(TrainingScenario), "fossil float32").Wait();
        Assert.True(job.Process.ExitCode == 0, job.Output);
        Assert.Equal(Mpirun.Once("openmpi", 2, nameof(TrainingScenario)).Value(0, "hash of fossil float32"), job.Value(1, "hash of fossil float32"));
        Assert.Equal(1, job.Output.Split("through the host's memory").Length - 1);
        Assert.Contains("FOSSIL_NCCL names /nowhere/libnccl.so", job.Output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Without_MPI_and_NCCL_the_error_says_what_to_do()
    {
        var job = Mpirun.Start(Mpirun.Variables, 2, [.. Environment(), ("FOSSIL_NCCL", "/nowhere/libnccl.so")], nameof(BasicScenario)).Wait();
        Assert.NotEqual(0, job.Process.ExitCode);
        Assert.Contains("no MPI has started them, so NCCL has to join their CUDA devices", job.Output, StringComparison.Ordinal);
    }

    private static (string, string)[] Environment()
    {
        var driver = FakeDriver.Reset();
        Tools.RequireNvrtc();
        return
        [
            (Program.NcclOnTheCpu, "1"), ("FOSSIL_CUDA_DRIVER", driver.LibraryFile), ("FOSSIL_NCCL", driver.LibraryFile), ("FOSSIL_NVRTC", Tools.NvrtcFile!), ("FOSSIL_CUDA_CACHE", Cache.Value),
            ("FOSSIL_FAKE_CUDA_KERNELS", Emulation.Of(CudaRankLaunches.Source).Library),
        ];
    }
}
