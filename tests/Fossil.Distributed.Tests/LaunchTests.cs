namespace Fossil.Distributed.Tests;

public sealed class LaunchTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_RANK=3", "openmpi", 4, 1)]
    [InlineData("PMI_SIZE=2 PMI_RANK=0 MPI_LOCALRANKID=0", "mpich", 2, 0)]
    [InlineData("PMIX_RANK=3 SLURM_STEP_NUM_TASKS=8 SLURM_NTASKS=16 SLURM_LOCALID=3", "openmpi", 8, 3)]
    [InlineData("PMI_RANK=3 SLURM_NTASKS=16", "mpich", 16, null)]
    [InlineData("FOSSIL_MPI=/opt/mpi/lib/libmpi.so", null, null, null)]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 RANK=5 WORLD_SIZE=8 LOCAL_RANK=1", "nccl", 8, 1)]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1", "nccl", 8, 1)]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 RANK=5 WORLD_SIZE=8 PMI_RANK=5 FOSSIL_MPI=nccl", "nccl", 8, null)]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 RANK=0 WORLD_SIZE=1 OMPI_COMM_WORLD_SIZE=4", "openmpi", 4, null)]
    public void The_launchers_variables_tell_the_library_and_the_number_of_ranks(string variables, string? kind, int? size, int? localRank)
    {
        var launch = From(variables)!;
        Assert.Equal((kind, size, localRank), (launch.Kind, launch.Size, launch.LocalRank));
    }

    [Theory]
    [InlineData("")]
    [InlineData("SLURM_NTASKS=16")]
    [InlineData("OMPI_COMM_WORLD_SIZE=4 FOSSIL_MPI=off")]
    [InlineData("FOSSIL_MPI=")]
    [InlineData("MASTER_ADDR=node1 RANK=5 WORLD_SIZE=8")]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 WORLD_SIZE=8")]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 RANK=8 WORLD_SIZE=8")]
    [InlineData("MASTER_ADDR=node1 MASTER_PORT=29500 RANK=5 WORLD_SIZE=8 FOSSIL_MPI=off")]
    public void A_process_that_no_launcher_started_is_alone(string variables) => Assert.Null(From(variables));

    /// <summary>torchrun itself listens at its port.</summary>
    [Theory]
    [InlineData("", 29500)]
    [InlineData(" TORCHELASTIC_USE_AGENT_STORE=True", 29501)]
    public void Processes_meet_at_the_launchers_address(string more, int port) => Assert.Equal(new LaunchAddress("node1", port, 5), From($"MASTER_ADDR=node1 MASTER_PORT=29500 RANK=5 WORLD_SIZE=8{more}")!.Address);

    [Fact]
    public async Task Who_does_not_come_to_the_address_is_named()
    {
        var address = new LaunchAddress("localhost", FreePort(), 0);
        var other = Task.Run(() => Nccl.Rendezvous.Meet(address with { Rank = 1 }, 3, () => default, TimeSpan.FromSeconds(1.5)));
        Assert.StartsWith("Of 3 processes rank 2 did not come to localhost:", Assert.Throws<DistributedException>(() => Nccl.Rendezvous.Meet(address, 3, () => default, TimeSpan.FromSeconds(1))).Message);
        Assert.StartsWith("Rank 1 cannot meet the others at localhost:", (await Assert.ThrowsAsync<DistributedException>(() => other)).Message);
    }

    [Fact]
    public void A_library_that_cannot_be_loaded_is_an_error_that_says_what_to_do()
    {
        Environment.SetEnvironmentVariable(Launch.Variable, "/no/such/libmpi.so");
        try
        {
            var error = Assert.Throws<DistributedException>(() => Mpi.MpiLibrary.Load(new("OMPI_COMM_WORLD_SIZE", Launch.OpenMpi, 2, null)));
            Assert.Contains("FOSSIL_MPI names /no/such/libmpi.so", error.Message);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Launch.Variable, null);
        }
    }

    private static Launch? From(string variables)
    {
        var set = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(variable => variable.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        return Launch.From(name => set.GetValueOrDefault(name));
    }

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
