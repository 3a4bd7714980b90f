namespace Fossil;

/// <summary>The tensors of an adapter's file do not fit its configuration and the model.</summary>
public class AdapterFileException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The file.</param>
    /// <param name="message">What is wrong, and what to do.</param>
    public AdapterFileException(string path, string message)
        : base($"'{path}': {message}") => Path = path;

    /// <summary>The file.</summary>
    public string Path { get; }
}
