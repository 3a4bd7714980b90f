namespace Fossil.Models.Hub;

/// <summary>Why something could not be fetched from the hub, or uploaded to it.</summary>
public enum HubError
{
    /// <summary>A model id, revision or file name is not a possible one.</summary>
    InvalidName,

    /// <summary>There is no such model, or it is private and the token does not open it.</summary>
    RepositoryNotFound,

    /// <summary>The model's conditions have to be accepted first, or access is still to be granted.</summary>
    GatedRepository,

    /// <summary>The model has no such revision.</summary>
    RevisionNotFound,

    /// <summary>The model has no such file.</summary>
    FileNotFound,

    /// <summary>The hub refused the token.</summary>
    Unauthorized,

    /// <summary>Fetching is switched off, and the cache does not hold the file.</summary>
    Offline,

    /// <summary>The hub could not be reached, or the connection broke again and again.</summary>
    ConnectionFailed,

    /// <summary>The hub answered with an error, again and again.</summary>
    ServerError,

    /// <summary>The hub's answer makes no sense.</summary>
    InvalidResponse,

    /// <summary>The content that arrived is not what the hub says it is.</summary>
    ChecksumMismatch,

    /// <summary>The cache could not be written.</summary>
    CacheNotWritable,

    /// <summary>The token does not allow this: it may not write, or not to this owner, or the owner's plan does not include it.</summary>
    Forbidden,

    /// <summary>The repository changed meanwhile, or something of that name is there already.</summary>
    Conflict,

    /// <summary>A file, or all of them, are larger than the hub takes.</summary>
    TooLarge,

    /// <summary>The hub refuses what was sent, and says why.</summary>
    Rejected,
}

/// <summary>Something could not be fetched from the hub, or uploaded to it.</summary>
public sealed class HubException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="error">The kind of error.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    /// <param name="innerException">What the error was found by.</param>
    public HubException(HubError error, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Error = error;
    }

    /// <summary>The kind of error.</summary>
    public HubError Error { get; }
}
