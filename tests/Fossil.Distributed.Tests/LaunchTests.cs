namespace Fossil.Distributed.Tests;

public sealed class LaunchTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_RANK=3", "openmpi", 4, 1)]
    [InlineData("PMI_SIZE=2 PMI_RANK=0 MPI_LOCALRANKID=0", "mpich", 2, 0)]
    [InlineData("PMIX_RANK=3 SLURM_STEP_NUM_TASKS=8 SLURM_NTASKS=16 SLURM_LOCALID=3", "openmpi", 8, 3)]
    [InlineData("PMI_RANK=3 SLURM_NTASKS=16", "mpich", 16, null)]
    [InlineData("FOSSIL_MPI=/opt/mpi/lib/libmpi.so", null, null, null)]
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
    public void A_process_that_no_launcher_started_is_alone(string variables) => Assert.Null(From(variables));

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
}
