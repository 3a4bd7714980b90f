namespace Fossil;

/// <summary>A file whose weights a model uses where they lie was written to, or cut short.</summary>
public sealed class MappedFileException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, and what to do.</summary>
    /// <param name="path">The file.</param>
    /// <param name="message">The message.</param>
    public MappedFileException(string path, string message)
        : base(message) => Path = path;

    /// <summary>The file.</summary>
    public string Path { get; }
}
