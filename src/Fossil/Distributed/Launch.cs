using System.Globalization;

namespace Fossil.Distributed;

/// <summary>What the variables that a launcher sets say of this process.</summary>
/// <param name="Launcher">The variable that told.</param>
/// <param name="Kind">Whose MPI the launcher is of; null where it serves several.</param>
/// <param name="Size">How many processes there are; null where only the library knows.</param>
/// <param name="LocalRank">Which of those on its machine it is; null where no variable says it.</param>
/// <param name="Address">Where the processes meet that no MPI has started; null for those of MPI.</param>
internal sealed record Launch(string Launcher, string? Kind, int? Size, int? LocalRank, LaunchAddress? Address = null)
{
    /// <summary>Chooses the MPI library: <c>openmpi</c>, <c>mpich</c>, <c>abi</c>, a file, <c>nccl</c> for none, or <c>off</c>.</summary>
    public const string Variable = "FOSSIL_MPI";

    /// <summary>What the variables of Open MPI are for.</summary>
    public const string OpenMpi = "openmpi";

    /// <summary>What the variables of MPICH, MVAPICH and Intel MPI are for.</summary>
    public const string Mpich = "mpich";

    /// <summary>Any library with the standard ABI.</summary>
    public const string StandardAbi = "abi";

    /// <summary>No MPI, whatever the launcher brings: NCCL alone.</summary>
    public const string Nccl = "nccl";

    /// <summary>What a program gets that shall not look for others.</summary>
    public const string Off = "off";

    /// <summary>Reads the variables.</summary>
    /// <param name="get">Gives the value of a variable.</param>
    /// <returns>Null where no launcher started this process.</returns>
    public static Launch? From(Func<string, string?> get)
    {
        if (get(Variable) == Off) return null;
        var local = Number("OMPI_COMM_WORLD_LOCAL_RANK") ?? Number("MPI_LOCALRANKID") ?? Number("LOCAL_RANK") ?? Number("SLURM_LOCALID");
        var slurmTasks = Number("SLURM_STEP_NUM_TASKS") ?? Number("SLURM_NTASKS");
        if (get(Variable) != Nccl)
        {
            if (Number("OMPI_COMM_WORLD_SIZE") is { } openMpi) return new("OMPI_COMM_WORLD_SIZE", OpenMpi, openMpi, local);
            if (Number("PMI_SIZE") is { } mpich) return new("PMI_SIZE", Mpich, mpich, local);
            if (get("PMIX_RANK") is not null) return new("PMIX_RANK", OpenMpi, slurmTasks, local);
            if (get("PMI_RANK") is not null) return new("PMI_RANK", Mpich, slurmTasks, local);
            if (get(Variable) is { Length: > 0 }) return new(Variable, null, null, local);
        }

        // The variables of torchrun and of Kubernetes' PyTorchJob; with srun the script sets the first two. torchrun itself listens at its port.
        if (get("MASTER_ADDR") is not { Length: > 0 } host || Number("MASTER_PORT") is not { } port) return null;
        if ((Number("RANK") ?? Number("SLURM_PROCID")) is not { } rank || (Number("WORLD_SIZE") ?? slurmTasks) is not { } size || rank >= size) return null;
        return new("MASTER_ADDR", Nccl, size, local, new(host, port + (get("TORCHELASTIC_USE_AGENT_STORE") == "True" ? 1 : 0), rank));

        int? Number(string name) => int.TryParse(get(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}

/// <summary>Where processes meet.</summary>
/// <param name="Host">Rank 0's machine.</param>
/// <param name="Port">Where it listens.</param>
/// <param name="Rank">Which of the processes this is.</param>
internal sealed record LaunchAddress(string Host, int Port, int Rank);
