using System.Globalization;

namespace Fossil.Distributed;

/// <summary>What the variables that a launcher sets say of this process.</summary>
/// <param name="Launcher">The variable that told.</param>
/// <param name="Kind">Whose MPI the launcher is of; null where it serves several.</param>
/// <param name="Size">How many processes there are; null where only the library knows.</param>
/// <param name="LocalRank">Which of those on its machine it is; null where no variable says it.</param>
internal sealed record Launch(string Launcher, string? Kind, int? Size, int? LocalRank)
{
    /// <summary>Chooses the MPI library: <c>openmpi</c>, <c>mpich</c>, <c>abi</c>, a file, or <c>off</c>.</summary>
    public const string Variable = "FOSSIL_MPI";

    /// <summary>What the variables of Open MPI are for.</summary>
    public const string OpenMpi = "openmpi";

    /// <summary>What the variables of MPICH, MVAPICH and Intel MPI are for.</summary>
    public const string Mpich = "mpich";

    /// <summary>Any library with the standard ABI.</summary>
    public const string StandardAbi = "abi";

    /// <summary>What a program gets that shall not look for others.</summary>
    public const string Off = "off";

    /// <summary>Reads the variables.</summary>
    /// <param name="get">Gives the value of a variable.</param>
    /// <returns>Null where no launcher started this process.</returns>
    public static Launch? From(Func<string, string?> get)
    {
        if (get(Variable) == Off) return null;
        var local = Number("OMPI_COMM_WORLD_LOCAL_RANK") ?? Number("MPI_LOCALRANKID") ?? Number("SLURM_LOCALID");
        if (Number("OMPI_COMM_WORLD_SIZE") is { } openMpi) return new("OMPI_COMM_WORLD_SIZE", OpenMpi, openMpi, local);
        if (Number("PMI_SIZE") is { } mpich) return new("PMI_SIZE", Mpich, mpich, local);
        if (get("PMIX_RANK") is not null) return new("PMIX_RANK", OpenMpi, Number("SLURM_STEP_NUM_TASKS") ?? Number("SLURM_NTASKS"), local);
        if (get("PMI_RANK") is not null) return new("PMI_RANK", Mpich, Number("SLURM_STEP_NUM_TASKS") ?? Number("SLURM_NTASKS"), local);
        return get(Variable) is { Length: > 0 } ? new(Variable, null, null, local) : null;

        int? Number(string name) => int.TryParse(get(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}
