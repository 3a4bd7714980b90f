namespace Fossil.Distributed.Tests;

/// <summary>What runs on each rank: this test assembly is also a program.</summary>
internal static class Program
{
    /// <summary>Has gradients in the memory of the CPU go the way of those on CUDA devices.</summary>
    public const string NcclOnTheCpu = "FOSSIL_TEST_NCCL";

    /// <summary>The arguments are the name of a scenario, the folder of its results, and what else it takes.</summary>
    public static int Main(string[] arguments)
    {
        if (Environment.GetEnvironmentVariable(NcclOnTheCpu) is not null) ReductionMemories.NcclDevices = TorchSharp.DeviceType.CPU;
        var results = new RankResults(arguments[1]);
        try
        {
            Scenarios.Find(arguments[0])(results, arguments[2..]);
            return 0;
        }
        catch (FossilException exception)
        {
            results.Add("error", $"{exception.GetType().Name}: {exception.Message}");
            Console.Error.WriteLine($"rank {ProcessGroup.Current?.Rank ?? 0}: {exception}");
            return 1;
        }
    }
}
