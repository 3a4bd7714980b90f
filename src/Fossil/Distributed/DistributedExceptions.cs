namespace Fossil.Distributed;

/// <summary>Processes that train together cannot go on.</summary>
public class DistributedException(string message, Exception? innerException = null) : FossilException(message, innerException);

/// <summary>A rank failed, and so the job is over on all ranks; the rank itself throws what went wrong.</summary>
/// <param name="rank">The rank.</param>
/// <param name="message">Its error.</param>
public sealed class RankFailedException(int rank, string message) : DistributedException($"Rank {rank} failed: {message}")
{
    /// <summary>The rank.</summary>
    public int Rank { get; } = rank;
}

/// <summary>The ranks do not have the same options, data, parameters or libraries, so that they would not train one model.</summary>
public sealed class RanksDifferException(string message) : DistributedException(message);
