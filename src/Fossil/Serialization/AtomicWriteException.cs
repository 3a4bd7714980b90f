namespace Fossil.Serialization;

/// <summary>A file or the files of a folder could not be written (full disk, missing permission, …). <see cref="IsCommitted"/> says which content counts.</summary>
public sealed class AtomicWriteException : FossilException
{
    private const string Unchanged = "What was there before is unchanged. Make room or choose another folder, and save again.";
    private const string NotNamed = $"The new content is complete, and it is what this library reads from now on; but as long as some of it does not have its name, other programs read old files. Save again, or call {nameof(AtomicFolder)}.{nameof(AtomicFolder.Recover)}.";
    private const string NotFlushed = "The new content is there; but a power failure may bring the old one back. Save again.";

    /// <summary>Nothing was changed.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="innerException">What the operating system said.</param>
    public AtomicWriteException(string path, Exception innerException)
        : this(path, innerException, Unchanged)
    {
    }

    internal AtomicWriteException(string path, UnfinishedCommitException unfinished)
        : this(path, unfinished.InnerException!, unfinished.IsNamed ? NotFlushed : NotNamed) => IsCommitted = true;

    private AtomicWriteException(string path, Exception innerException, string outcome)
        : base($"'{path}' could not be written: {innerException.Message} {outcome}", innerException) => Path = path;

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>Whether the new content counts, complete, although an operation failed after it was on the disk; otherwise what was there before still is, complete.</summary>
    public bool IsCommitted { get; }
}
